#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/status_macros.h"
#include "experiments/program/cli/arm_specs.h"
#include "common/log/log.h"
#include "experiments/program/cli/bench/bench_commands.h"
#include "experiments/program/cli/signals.h"
#include "experiments/program/cli/spec_flags.h"
#include "experiments/program/run/launcher_environment.h"
#include "experiments/program/run/resolve_spec.h"
#include "experiments/proof/bench/bench_step.h"
#include "experiments/proof/bench/bench_step_table.h"

namespace ringmaster {
namespace {

constexpr char kStepFooter[] =
    "Examples:\n"
    "  ringmaster bench step --model mlp                             the ring over shm, two "
    "workers, and solo\n"
    "  ringmaster bench step --model cnn --strategy ring,ps-sharded --transport tcp\n"
    "  ringmaster bench step --model transformer --against pytorch   beside "
    "DistributedDataParallel over gloo\n"
    "  ringmaster bench step --model mlp --strategy ps --against pytorch   beside PyTorch's RPC "
    "parameter server\n"
    "\n"
    "Our own training, in processes of its own on synthetic data: mlp (784-1024-1024-10, 64 "
    "samples a worker), cnn "
    "(64) and\n"
    "transformer (4 layers, 128 wide, 4 heads, 64 tokens, 256 symbols, 16 texts). Every contender "
    "lives until the end "
    "and\n"
    "sleeps while others have their turn of a block of steps; the slowest rank's time counts. "
    "Ratios are medians of "
    "the\n"
    "blocks' ratios, one round of turns a pair, with their 95 % interval by bootstrap; p95 is what "
    "95 % of the blocks\n"
    "did not exceed. There is no --buffers and no --unaligned: where a step finds its memory, the "
    "step before and the\n"
    "loop have left it, and that is what is measured. PyTorch has one thread a process,\n"
    "as shipped and, with AVX-512, with OPENBLAS_CORETYPE=SKYLAKEX besides.\n"
    "Exit code 0: measured, 1: a run or a peer that failed, 2: a mistake in the flags.";

struct StepFlags {
  SpecFlags spec;
  std::vector<std::string> strategies = {"ring"};
  int64_t blocks = 12;
  int64_t block_steps = 0;
  std::string against;
  std::string python = "python3";
  bool json = false;
};

// What the flags leave open: the shapes that the benchmark is about.
void FillModel(int64_t steps, RunSpec* spec) {
  const std::string& model = spec->model().name();
  if (model == "mlp" && spec->model().mlp_hidden().empty()) {
    for (int layer = 0; layer < 2; ++layer) spec->mutable_model()->add_mlp_hidden(1024);
  }
  TrainingSpec* training = spec->mutable_training();
  if (!training->has_batch_per_worker())
    training->set_batch_per_worker(model == "transformer" ? 16 : 64);
  training->set_steps(steps);
  // Turns are granted by steps, of which all workers must make equally many.
  spec->mutable_strategy()->set_work(StrategySpec::DEALT);
  training->clear_epochs();
  training->set_evaluate_every_samples(0);
  DataSpec* data = spec->mutable_data();
  data->set_name("synthetic");
  SyntheticSpec* synthetic = data->mutable_synthetic();
  if (!synthetic->has_train_samples()) synthetic->set_train_samples(4096);
  if (!synthetic->has_test_samples()) synthetic->set_test_samples(256);
  if (model == "transformer") {
    if (!synthetic->has_context()) synthetic->set_context(64);
    if (!synthetic->has_classes()) synthetic->set_classes(256);
  }
  if (!spec->optimizer().has_learning_rate()) spec->mutable_optimizer()->set_learning_rate(0.01f);
  if (spec->transport().name().empty()) spec->mutable_transport()->set_name("shm");
}

// About half a second of the models' steps on one core each.
int64_t DefaultBlockSteps(const std::string& model) {
  return model == "mlp" ? 40 : model == "cnn" ? 10 : 8;
}

absl::StatusOr<StepBench> BenchOf(const StepFlags& flags) {
  const Environment environment = ReadEnvironment();
  RunSpec base;
  RM_RETURN_IF_ERROR(flags.spec.Apply(&base));
  StepBench bench;
  bench.blocks = flags.blocks;
  if (base.model().name().empty()) base.mutable_model()->set_name("mlp");
  bench.block_steps =
      flags.block_steps > 0 ? flags.block_steps : DefaultBlockSteps(base.model().name());
  FillModel(StepsOf(bench), &base);
  std::vector<std::string> arms = flags.strategies;
  if (std::find(arms.begin(), arms.end(), "solo") == arms.end()) arms.push_back("solo");
  RM_ASSIGN_OR_RETURN(const std::vector<RunSpec> specs, MakeArms(base, arms, flags.spec.sets()));
  for (const RunSpec& spec : specs) {
    RM_ASSIGN_OR_RETURN(RunSpec resolved, ResolveAndValidate(spec, environment.default_data_dir));
    bench.runs.push_back(std::move(resolved));
  }
  if (!flags.against.empty()) {
    RM_ASSIGN_OR_RETURN(bench.peers, PyTorchPeers(bench.runs.front(), flags.python));
  }
  return bench;
}

int RunStep(const StepFlags& flags) {
  const absl::StatusOr<StepBench> bench = BenchOf(flags);
  if (!bench.ok()) {
    Log(LogLevel::kError, bench.status().message());
    return kExitUserError;
  }
  const absl::StatusOr<std::vector<StepTimes>> times = RunStepBench(*bench, InterruptFlag());
  if (!times.ok()) {
    Log(LogLevel::kError, times.status().message());
    if (InterruptFlag()) return kExitInterrupted;
    return absl::IsFailedPrecondition(times.status()) ? kExitUserError : kExitFailedRun;
  }
  std::fputs(
      flags.json ? (StepJson(*bench, *times) + "\n").c_str() : StepTable(*bench, *times).c_str(),
      stdout);
  return kExitOk;
}

// Whether the peer is there shows when it is started.
absl::StatusOr<std::vector<RunSpec>> OwnRuns(StepFlags flags) {
  flags.against.clear();
  RM_ASSIGN_OR_RETURN(const StepBench bench, BenchOf(flags));
  return bench.runs;
}

}  // namespace

void DeclareStepBench(Command bench, Action* action) {
  Command command = bench.AddCommand("step", "training steps by strategy, beside solo and PyTorch");
  command.SetFooter(kStepFooter);
  auto flags = std::make_shared<StepFlags>();
  command
      .AddOption("--strategy", &flags->strategies,
                 "one or more arms, comma-separated; `ringmaster list` has them")
      .Commas()
      .Takes("NAMES")
      .ShowDefault();
  command.AddOption("--blocks", &flags->blocks, "timed blocks of steps of each contender")
      .Between(1, 100000)
      .ShowDefault();
  command
      .AddOption("--block-steps", &flags->block_steps,
                 "timed steps of a block; 0: about half a second of them")
      .Between(0, 100000)
      .ShowDefault();
  command.AddOption("--against", &flags->against, "peer: pytorch").OneOf({"pytorch"});
  command.AddOption("--python", &flags->python, "Python that has torch").ShowDefault();
  command.AddFlag("--json", &flags->json,
                  "one JSON object on standard output instead of the table");
  flags->spec.DeclareForBench(command);
  command.OnChosen([action, flags] {
    *action = {[flags] { return RunStep(*flags); }, [flags] { return ShowSpecs(OwnRuns(*flags)); }};
  });
}

}  // namespace ringmaster
