#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/status_macros.h"
#include "common/config/arms.h"
#include "common/log/log.h"
#include "experiments/program/cli/bench/bench_commands.h"
#include "experiments/program/cli/signals.h"
#include "experiments/program/cli/spec_flags.h"
#include "experiments/program/run/launcher_environment.h"
#include "experiments/program/run/resolve_spec.h"
#include "experiments/proof/bench/bench_start.h"

namespace ringmaster {
namespace {

constexpr char kStartFooter[] =
    "Examples:\n"
    "  ringmaster bench start --workers 64                      a ring of 64 ranks over grpc, as "
    "`compare` starts "
    "them\n"
    "  ringmaster bench start --workers 64 --transport shm --strategy ring,ps,ps-sharded\n"
    "\n"
    "Starts each run once, with compute emulated (--emulate 0: the model computes), and looks at "
    "/proc: seconds until "
    "every\n"
    "worker stands before its first step, processor time of a process until then, and what a "
    "process has taken of "
    "memory\n"
    "and of address space after two steps. Memory that processes share is divided among them "
    "(PSS).\n"
    "Each run is started once, so there are no percentiles; --buffers would mean the files, which "
    "are warm as soon as\n"
    "this program has been started.\n"
    "Exit code 0: measured, 1: a run that failed, 2: a mistake in the flags.";

struct StartFlags {
  SpecFlags spec;
  std::vector<std::string> strategies = {"ring"};
  double emulate_ms = 20;
  bool json = false;
};

void FillStart(const StartFlags& flags, RunSpec* spec) {
  if (spec->model().name().empty()) spec->mutable_model()->set_name("mlp");
  TrainingSpec* training = spec->mutable_training();
  if (flags.emulate_ms > 0)
    training->mutable_emulated_compute()->set_milliseconds(flags.emulate_ms);
  training->set_steps(kStartSteps);
  // Turns are granted by steps, of which all workers must make equally many.
  spec->mutable_strategy()->set_work(StrategySpec::DEALT);
  training->clear_epochs();
  training->set_evaluate_every_samples(0);
  if (spec->data().name().empty()) spec->mutable_data()->set_name("synthetic");
}

absl::StatusOr<std::vector<RunSpec>> RunsOf(const StartFlags& flags) {
  const Environment environment = ReadEnvironment();
  RunSpec base;
  RM_RETURN_IF_ERROR(flags.spec.Apply(&base));
  FillStart(flags, &base);
  std::vector<RunSpec> runs;
  for (const std::string& arm : flags.strategies) {
    RM_ASSIGN_OR_RETURN(const RunSpec spec, MakeArm(arm, base));
    RM_ASSIGN_OR_RETURN(RunSpec resolved, ResolveAndValidate(spec, environment.default_data_dir));
    runs.push_back(std::move(resolved));
  }
  return runs;
}

int RunStart(const StartFlags& flags) {
  const absl::StatusOr<std::vector<RunSpec>> runs = RunsOf(flags);
  if (!runs.ok()) {
    Log(LogLevel::kError, runs.status().message());
    return kExitUserError;
  }
  std::vector<StartCosts> starts;
  for (const RunSpec& run : *runs) {
    absl::StatusOr<StartCosts> start = MeasureStart(run, InterruptFlag());
    if (!start.ok()) {
      Log(LogLevel::kError, start.status().message());
      return InterruptFlag() ? kExitInterrupted : kExitFailedRun;
    }
    starts.push_back(*std::move(start));
  }
  std::fputs(flags.json ? (StartJson(starts) + "\n").c_str() : StartTable(starts).c_str(), stdout);
  return kExitOk;
}

}  // namespace

void DeclareStartBench(Command bench, Action* action) {
  Command command =
      bench.AddCommand("start", "many ranks on one host: seconds to join, processor time, memory");
  command.SetFooter(kStartFooter);
  auto flags = std::make_shared<StartFlags>();
  command
      .AddOption("--strategy", &flags->strategies,
                 "one or more arms, comma-separated; `ringmaster list` has them")
      .Commas()
      .Takes("NAMES")
      .ShowDefault();
  command
      .AddOption("--emulate", &flags->emulate_ms, "sleep so many milliseconds a batch; 0: compute")
      .Between(0.0, 1e6)
      .Takes("MS")
      .ShowDefault();
  command.AddFlag("--json", &flags->json,
                  "one JSON object on standard output instead of the table");
  flags->spec.DeclareForBench(command);
  command.OnChosen([action, flags] { *action = [flags] { return RunStart(*flags); }; });
}

}  // namespace ringmaster
