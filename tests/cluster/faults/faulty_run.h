#ifndef RINGMASTER_TESTS_CLUSTER_FAULTS_FAULTY_RUN_H_
#define RINGMASTER_TESTS_CLUSTER_FAULTS_FAULTY_RUN_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace ringmaster {

// A run of the real program to which something bad is done, all of it decided by a seed.
struct FaultyRun {
  enum class Launcher { kLeftAlone, kKilled, kTold, kStoppedForAWhile };

  uint64_t seed = 0;
  std::string arm;
  std::string transport;
  int32_t workers = 2;
  std::string on_failure;  // "ABORT", "RESTART", or what else the arm's traits allow
  bool makes_checkpoints = false;
  std::string fault;          // as --fault takes it; empty: it is done to the launcher
  bool ends_process = false;  // the fault leaves its process no way to go on
  Launcher launcher = Launcher::kLeftAlone;
  absl::Duration moment;  // of the launcher's fault, from its start on

  // What is done to whom, in a line.
  std::string Text() const;
  // Arguments of the program, whose outputs go to `out`.
  std::vector<std::string> Arguments(const std::string& out) const;
};

// Arms and transports come from the registries: all that need no library of others.
FaultyRun RunOfSeed(uint64_t seed);

// What was seen of a run that ended as it may.
struct Sighting {
  bool went_on = false;  // a process was lost, and the run ended well
  // From a fault that closes connections until the launcher knew that the run was over.
  std::optional<absl::Duration> detection;
};

// Makes the run and fails the test where it does anything but one of these: it ends with a status
// that names role, rank, step and phase; or goes on to a good record. A run that does not end is
// killed. Nothing of it may be left: no process, and with that no port and no memory file; no file
// but its records. Any thread.
Sighting MakeFaultyRun(const FaultyRun& run);

// Entries of /dev/shm that bear this project's name.
std::vector<std::string> SharedMemoryLeft();

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_CLUSTER_FAULTS_FAULTY_RUN_H_
