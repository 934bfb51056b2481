#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_ATTEMPTS_LAUNCHED_PROCESSES_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_ATTEMPTS_LAUNCHED_PROCESSES_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/base/host_port.h"
#include "experiments/program/run/attempts/hook_files.h"
#include "experiments/program/run/children.h"

namespace ringmaster {

// What the processes of a run on this machine are told when they are started.
struct LaunchPlan {
  std::string spec;         // resolved, as a textproto
  std::string spec_file;    // that has it too, and outlives their start; empty: none
  std::string fingerprint;  // of it
  int32_t processes = 0;
  HostPort coordinator;
  std::string token;
  int device = 0;                // GPU, where there is one
  bool one_device_each = false;  // process i has device + i
  HookFiles hooks;
  // The program of the user's whose processes are the workers; empty: they are of this program.
  std::vector<std::string> command;
  std::vector<std::string> outputs;  // by process, where `command` is there: file of what it says
  std::vector<bool> has_worker;      // by process, where `command` is there
};

// Starts a child for each process, in their order; `started` is told of each. The system's errors,
// which leave the children before it started.
absl::Status StartProcesses(const LaunchPlan& plan, Children* children,
                            const std::function<void(int32_t process, pid_t pid)>& started);

// The launcher of an MPI that starts the processes, which read plan.spec_file.
struct MpiLaunch {
  std::string launcher;   // MpirunOptions'
  std::string transport;  // the spec's
};

// Starts the launcher as the only child.
absl::Status StartByMpirun(const LaunchPlan& plan, const MpiLaunch& launch, Children* children);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_ATTEMPTS_LAUNCHED_PROCESSES_H_
