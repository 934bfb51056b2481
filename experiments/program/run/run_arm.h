#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_RUN_ARM_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_RUN_ARM_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/host_port.h"
#include "common/control/coordinator.h"
#include "common/security/credentials.h"
#include "experiments/program/run/arm_progress.h"
#include "proto/record.pb.h"

namespace ringmaster {

class FaultGiver;
class RunRecord;
class RunSpec;

struct RunArmOptions {
  int device = 0;
  // Set from elsewhere (a signal handler) to end the run.
  const std::atomic<bool>* interrupted = nullptr;
  ProgressSink progress;  // called a few times a second, by the calling thread
  std::string turns;  // file by which somebody grants the steps (experiments/program/run/turns.h);
                      // empty: nobody
  FaultGiver* faults = nullptr;  // what is to be done to its processes; null: nothing
  std::string outputs;           // folder for what a program's processes say; empty: standard error
};

// Runs one arm on this machine: starts a process a rank (experiments/program/run/placement.h),
// leads them, waits, and collects. `spec` is resolved and valid. Always returns a record: a run
// that failed or was interrupted has its status there and no figures. When it returns, no process
// it started is left.
RunRecord RunArm(const RunSpec& spec, const RunArmOptions& options);

// Whether this machine has the GPUs from `first_device` on that the run's processes take one each
// of; runs whose ranks share one always fit. Unavailable: no GPU at all. InvalidArgument: too few,
// with what to use instead.
absl::Status CheckDevices(const RunSpec& spec, int first_device);

// CheckDevices, and whether the limits of open files and of address space and the free memory
// suffice (ResourceExhausted), and the certificates can be used that the spec asks for. What RunArm
// asks first.
absl::Status CheckMachine(const RunSpec& spec, int first_device);

// A record with everything but status and reports: id, time, build, machine.
RunRecord NewRecord(const RunSpec& spec);

// Puts status and the processes' reports into the record; evaluations and final losses, which each
// worker has of its own share, become those of the whole in worker 0's report, and all traces and
// the times of evaluations are put on one clock.
void FillRecord(const absl::StatusOr<std::vector<ProcessReport>>& result, RunRecord* record);

// Puts the last words of a failed run's processes into the record, their events on one clock.
void FillLastWords(const std::vector<LastWords>& words, RunRecord* record);

// What of the processes' last heartbeats a display shows.
ArmProgress ProgressOf(const std::vector<ProcessState>& processes, const RunSpec& spec);

// 32 random hexadecimal digits.
std::string NewToken();

// The options of a run's coordinator.
CoordinatorOptions CoordinatorOptionsOf(const RunSpec& spec, const HostPort& listen_at,
                                        const JobCredentials& credentials);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_RUN_ARM_H_
