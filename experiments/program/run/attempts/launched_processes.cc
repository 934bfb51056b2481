#include "experiments/program/run/attempts/launched_processes.h"

#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "common/log/log.h"
#include "experiments/program/run/launcher_environment.h"
#include "experiments/program/run/mpirun.h"

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

}  // namespace

absl::Status StartProcesses(const LaunchPlan& plan, Children* children,
                            const std::function<void(int32_t process, pid_t pid)>& started) {
  for (int32_t process = 0; process < plan.processes; ++process) {
    ChildProgram program;
    program.arguments = CommonArguments(plan, "-");
    program.arguments.insert(program.arguments.end(),
                             {"--rank", absl::StrCat(process), "--device",
                              absl::StrCat(plan.device + (plan.one_device_each ? process : 0))});
    program.environment = {TokenSetting(plan)};
    program.input = plan.spec;
    const absl::Status status = children->Start(program);
    if (!status.ok()) return status;
    started(process, children->pid(process));
  }
  return absl::OkStatus();
}

absl::Status StartByMpirun(const LaunchPlan& plan, const MpiLaunch& launch, Children* children) {
  std::vector<std::string> arguments = CommonArguments(plan, launch.spec_file);
  arguments.insert(arguments.end(), {"--device", absl::StrCat(plan.device)});
  MpirunOptions mpirun;
  mpirun.launcher = launch.launcher;
  mpirun.ranks = plan.processes;
  mpirun.transport = launch.transport;
  absl::StatusOr<ChildProgram> program = Mpirun(mpirun, arguments, {TokenSetting(plan)});
  return program.ok() ? children->Start(*program) : program.status();
}

}  // namespace ringmaster
