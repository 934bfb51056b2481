#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_FAULTS_FAULT_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_FAULTS_FAULT_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/message.h"
#include "common/scheme/scheme.h"

namespace ringmaster {

// Something bad that somebody wants done to a process of a run: `--fault 'worker:1@step=50 kill'`.
struct Fault {
  enum class Action {
    kKill,  // SIGKILL
    kStop,  // SIGSTOP
    kSlow,  // computes slower from then on
    kCut,   // its connections to other processes end, those to the coordinator stay
  };

  std::string text;  // as it was asked for, spaces made single
  NodeId target;     // what is done to a node is done to its whole process; kSlow to a worker alone
  // When: at the beginning of this step of the worker, of a server when the first worker begins it.
  // Where work is claimed, a step is N lots. Absent: `seconds` after all have joined.
  std::optional<int64_t> step;
  double seconds = 0;
  Action action = Action::kKill;
  double factor = 1;                    // of kSlow: by which computing takes longer
  std::optional<absl::Duration> lasts;  // of kStop: then it goes on; absent: never
};

// The longest text of a fault.
inline constexpr size_t kFaultTextLimit = 100;

// Reads "ROLE:INDEX@step=S ACTION" or "ROLE:INDEX@seconds=X ACTION". ROLE: worker, server. ACTION:
// "kill", "stop", "stop 3s", "slow FACTOR", "cut". InvalidArgument says what is wrong and gives an
// example. Pure, thread-safe.
absl::StatusOr<Fault> ParseFault(absl::string_view text);

// The steps of a run that are to be made: all from `begin` on, below `end`.
struct StepRange {
  int64_t begin = 0;
  int64_t end = 0;
};

// Why no run of these steps can have the fault, whatever its arm ("the run has steps 0 to 9");
// empty: it can. Pure.
std::string WhyNever(const Fault& fault, const StepRange& steps);

// Why an arm with these traits cannot have the fault ("it has no worker/1"); empty: it can. Pure.
std::string WhyNotIn(const SchemeTraits& arm, const Fault& fault);

// An arm of a command whose runs faults are done to.
struct FaultedArm {
  std::string name;
  SchemeTraits traits;
  StepRange steps;  // that it is to make
};

// What --fault was given, in its order. InvalidArgument names the one that is wrong. Pure.
absl::StatusOr<std::vector<Fault>> ReadFaults(const std::vector<std::string>& given);

// InvalidArgument: a fault that no arm can have. Pure.
absl::Status CheckFaults(const std::vector<Fault>& faults, const std::vector<FaultedArm>& arms);

// Those of `faults` that the arm can have, in their order. Pure.
std::vector<Fault> FaultsIn(const SchemeTraits& arm, const std::vector<Fault>& faults);

// A line for each fault: "worker:1@step=50 kill: in ring, async; not in single: it has no
// worker/1". Pure.
std::vector<std::string> FaultLines(const std::vector<Fault>& faults,
                                    const std::vector<FaultedArm>& arms);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_FAULTS_FAULT_H_
