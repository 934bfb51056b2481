#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_ATTEMPTS_LAUNCHED_PROCESSES_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_ATTEMPTS_LAUNCHED_PROCESSES_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "common/base/host_port.h"
#include "experiments/program/run/attempts/hook_files.h"
#include "experiments/program/run/children.h"

namespace ringmaster {

// What the processes of a run on this machine are told when they are started.
struct LaunchPlan {
  std::string spec;         // resolved, as a textproto
  std::string fingerprint;  // of it
  int32_t processes = 0;
  HostPort coordinator;
  std::string token;
  int device = 0;                // GPU, where there is one
  bool one_device_each = false;  // process i has device + i
  HookFiles hooks;
};

// Starts a child for each process, in their order; `started` is told of each. The system's errors,
// which leave the children before it started.
absl::Status StartProcesses(const LaunchPlan& plan, Children* children,
                            const std::function<void(int32_t process, pid_t pid)>& started);

// The launcher of an MPI that starts the processes.
struct MpiLaunch {
  std::string launcher;   // MpirunOptions'
  std::string transport;  // the spec's
  std::string spec_file;  // has the spec, and outlives their start
};

// Starts the launcher as the only child.
absl::Status StartByMpirun(const LaunchPlan& plan, const MpiLaunch& launch, Children* children);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_ATTEMPTS_LAUNCHED_PROCESSES_H_
