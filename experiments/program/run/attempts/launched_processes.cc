#include "experiments/program/run/attempts/launched_processes.h"

#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/log/log.h"
#include "experiments/program/run/launcher_environment.h"
#include "experiments/program/run/mpirun.h"
#include "experiments/program/run/programs/program_child.h"

namespace ringmaster {
namespace {

// Arguments of a process that gets its spec from `spec`, but for its rank and device.
std::vector<std::string> CommonArguments(const LaunchPlan& plan, const std::string& spec) {
  std::vector<std::string> arguments = {"node",
                                        spec,
                                        "--joins",
                                        "--resolved",
                                        plan.fingerprint,
                                        "--world-size",
                                        absl::StrCat(plan.processes),
                                        "--coordinator",
                                        plan.coordinator.ToString()};
  const std::pair<const char*, const std::string&> files[] = {{"--turns", plan.hooks.turns},
                                                              {"--faults", plan.hooks.faults},
                                                              {"--clock", plan.hooks.clock}};
  for (const auto& [flag, file] : files)
    if (!file.empty()) arguments.insert(arguments.end(), {flag, file});
  if (LogsDebug()) arguments.push_back("--verbose");
  return arguments;
}

std::string TokenSetting(const LaunchPlan& plan) {
  return absl::StrCat(kTokenVariable, "=", plan.token);
}

absl::StatusOr<ChildProgram> ProcessOf(const LaunchPlan& plan, int32_t process) {
  // What has a spec of the user's tensors may be more than standard input takes at once.
  const bool reads_file = !plan.spec_file.empty();
  std::vector<std::string> arguments = CommonArguments(plan, reads_file ? plan.spec_file : "-");
  arguments.insert(arguments.end(),
                   {"--rank", absl::StrCat(process), "--device",
                    absl::StrCat(plan.device + (plan.one_device_each ? process : 0))});
  ChildProgram program;
  if (!plan.command.empty() && plan.has_worker[process]) {
    RM_ASSIGN_OR_RETURN(program, ProgramChild(plan.command, arguments));
    program.output = plan.outputs[process];
  } else {
    program.arguments = std::move(arguments);
  }
  program.environment.push_back(TokenSetting(plan));
  if (!reads_file) program.input = plan.spec;
  return program;
}

}  // namespace

absl::Status StartProcesses(const LaunchPlan& plan, Children* children,
                            const std::function<void(int32_t process, pid_t pid)>& started) {
  for (int32_t process = 0; process < plan.processes; ++process) {
    RM_ASSIGN_OR_RETURN(const ChildProgram program, ProcessOf(plan, process));
    RM_RETURN_IF_ERROR(children->Start(program));
    started(process, children->pid(process));
  }
  return absl::OkStatus();
}

absl::Status StartByMpirun(const LaunchPlan& plan, const MpiLaunch& launch, Children* children) {
  std::vector<std::string> arguments = CommonArguments(plan, plan.spec_file);
  arguments.insert(arguments.end(), {"--device", absl::StrCat(plan.device)});
  MpirunOptions mpirun;
  mpirun.launcher = launch.launcher;
  mpirun.ranks = plan.processes;
  mpirun.transport = launch.transport;
  absl::StatusOr<ChildProgram> program = Mpirun(mpirun, arguments, {TokenSetting(plan)});
  return program.ok() ? children->Start(*program) : program.status();
}

}  // namespace ringmaster
