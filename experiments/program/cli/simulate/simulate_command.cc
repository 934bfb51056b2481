#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"
#include "common/config/arms.h"
#include "common/config/textproto.h"
#include "common/formats/atomic_file.h"
#include "common/log/log.h"
#include "common/machine/free_memory.h"
#include "common/machine/machine.h"
#include "experiments/program/cli/arm_specs.h"
#include "experiments/program/cli/commands.h"
#include "experiments/program/cli/outcome.h"
#include "experiments/program/cli/outputs.h"
#include "experiments/program/cli/signals.h"
#include "experiments/program/cli/spec_flags.h"
#include "experiments/program/cli/terminal.h"
#include "experiments/study/predict/compute_profile.h"
#include "experiments/study/results/table.h"
#include "experiments/study/simulate/simulated_run.h"
#include "experiments/study/simulate/size_keeper.h"
#include "proto/compute_times.pb.h"
#include "proto/kept_sizes.pb.h"
#include "proto/run_record.pb.h"

namespace ringmaster {
namespace {

constexpr int64_t kStepsWhenNobodySays = 50;
constexpr int32_t kWarmupWhenNobodySays = 5;

constexpr char kSimulateFooter[] =
    "Examples:\n"
    "  ringmaster simulate --workers 64 --network 1gbit,50us --compute 20ms\n"
    "  ringmaster simulate --arms ring,hierarchical --workers 16 --network "
    "1gbit,50us,racks:4:1gbit:100us\n"
    "  ringmaster simulate --arms ring,async --workers 16 --network 1gbit,50us "
    "--compute \"lognormal(20ms,0.3)\" --learn --stop-at-accuracy 0.97\n"
    "  ringmaster simulate --racks 8x8,uplink=10gbit --network 1gbit,50us --compute measured "
    "--keep-compute times.textproto\n"
    "\n"
    "A whole run of every arm in simulated time, on one machine: what decides in the workers and "
    "servers that train decides here.\n"
    "Messages take what the network says, a step's computing what --compute says; codecs and sums "
    "take no time, and\n"
    "updates only what --compute measured or its file says. With --keep-compute one machine "
    "measures, and any other simulates.\n"
    "With --learn every gradient is computed from the weights that its worker holds at that "
    "moment, so the weights of a\n"
    "synchronous arm are those of real processes to the last bit; scoring takes no simulated "
    "time.\n"
    "Where the size of an encoding depends on the gradient, a run without --learn takes it from a "
    "smaller one that has learned:\n"
    "--sizes FILE reads what --learn --keep-sizes FILE has left. Workers beyond those of the file "
    "have the sizes of one of them,\n"
    "rank modulo their number, and steps beyond its last have those of the last 10, again and "
    "again.\n"
    "The same command gives the same figures on every machine; weights may differ with the "
    "kernels' instruction set.\n"
    "Exit codes as of `compare`.";

struct SimulateFlags {
  SpecFlags spec;
  std::string spec_file;
  std::vector<std::string> arms;
  std::vector<std::string> columns;
  std::string compute;
  std::string keep_compute;
  std::string sizes;
  std::string keep_sizes;
  bool learns = false;
  bool merges = false;
  std::string stop_at_accuracy;
  int32_t threads = 0;
  std::string out = "ringmaster-out";
  bool json = false;
};

// What is played, and how.
struct Simulations {
  std::vector<RunSpec> specs;
  SimulationOptions options;
};

// The arms of `compare` that a network lies between.
std::vector<std::string> ArmsWhenNobodySays() {
  std::vector<std::string> arms;
  for (const std::string& arm : DefaultArms()) {
    const absl::StatusOr<RunSpec> spec = MakeArm(arm, RunSpec());
    if (spec.ok() && spec->strategy().launch() != THREADS) arms.push_back(arm);
  }
  return arms;
}

// But for times that are to be measured.
absl::StatusOr<SimulationOptions> OptionsOf(const SimulateFlags& flags) {
  SimulationOptions options;
  absl::StatusOr<StepCompute> compute = ParseStepCompute(flags.compute);
  RM_RETURN_IF_ERROR(Annotate(compute.status(), "--compute"));
  options.compute = *std::move(compute);
  absl::StatusOr<std::optional<ComputeTimes>> times = LoadTimes(options.compute);
  RM_RETURN_IF_ERROR(Annotate(times.status(), "--compute"));
  options.times = *std::move(times);
  if (!flags.sizes.empty()) {
    const absl::Status loaded =
        LoadTextproto(flags.sizes, "file of sizes", &options.sizes.emplace());
    RM_RETURN_IF_ERROR(Annotate(loaded, "--sizes"));
  }
  options.learns = flags.learns;
  options.merges = flags.merges;
  options.threads = flags.threads > 0 ? flags.threads : std::max(1, DescribeMachine().cores());
  options.interrupted = &InterruptFlag();
  if (flags.stop_at_accuracy.empty()) return options;
  double accuracy = 0;
  if (!absl::SimpleAtod(flags.stop_at_accuracy, &accuracy) || !(accuracy > 0 && accuracy <= 1)) {
    return absl::InvalidArgumentError(absl::StrCat("--stop-at-accuracy ", flags.stop_at_accuracy,
                                                   ": expected a share above 0 and up to 1"));
  }
  options.stop_at_accuracy = accuracy;
  return options;
}

// The times that --compute measures of a worker of `spec` on this machine; kept, if --keep-compute
// says where.
absl::StatusOr<ComputeTimes> MeasureTimes(const RunSpec& spec, const std::string& kept) {
  Log(LogLevel::kInfo, "measuring the steps of one worker alone on this machine");
  absl::StatusOr<ComputeProfile> profile = ProfileCompute(spec, /*device=*/0, &InterruptFlag());
  RM_RETURN_IF_ERROR(Annotate(profile.status(), "--compute measured"));
  ComputeTimes times = TimesOf(*profile, spec);
  if (kept.empty()) return times;
  RM_RETURN_IF_ERROR(Annotate(WriteFileAtomically(kept, ToTextproto(times)), "--keep-compute"));
  Log(LogLevel::kInfo, absl::StrCat("the measured times are in ", kept));
  return times;
}

absl::Status WriteSizes(const KeptSizes& sizes, const std::string& file) {
  RM_RETURN_IF_ERROR(Annotate(WriteFileAtomically(file, ToText(sizes)), "--keep-sizes"));
  Log(LogLevel::kInfo, absl::StrCat("the sizes of encodings are in ", file));
  return absl::OkStatus();
}

// Those of the arms, all checked.
absl::StatusOr<Simulations> SimulationsOf(const SimulateFlags& flags) {
  RM_RETURN_IF_ERROR(Annotate(CheckColumns(flags.columns), "--columns"));
  RM_ASSIGN_OR_RETURN(RunSpec base, LoadBase(flags.spec_file, flags.out, flags.spec));
  TrainingSpec* training = base.mutable_training();
  if (!flags.learns && !training->has_steps() && !training->has_epochs()) {
    training->set_steps(kStepsWhenNobodySays);
    if (!training->has_warmup_steps()) training->set_warmup_steps(kWarmupWhenNobodySays);
  }
  const bool named = !flags.arms.empty() || !flags.spec_file.empty();
  Simulations simulations;
  RM_ASSIGN_OR_RETURN(simulations.specs, BuildSpecs(base, named ? flags.arms : ArmsWhenNobodySays(),
                                                    flags.spec.sets()));
  RM_ASSIGN_OR_RETURN(simulations.options, OptionsOf(flags));
  if (!flags.keep_compute.empty() && simulations.options.compute.source != kMeasuredSource)
    return absl::InvalidArgumentError(
        "--keep-compute: nothing is measured; add --compute measured");
  if (!flags.keep_sizes.empty()) {
    if (simulations.specs.size() != 1) {
      return absl::InvalidArgumentError(
          absl::StrCat("--keep-sizes: there are ", simulations.specs.size(),
                       " arms, and each has sizes of its own; name one by --arms"));
    }
    RM_RETURN_IF_ERROR(Annotate(CheckFileCanBeWritten(flags.keep_sizes), "--keep-sizes"));
    simulations.options.keep_sizes = [file = flags.keep_sizes](const KeptSizes& sizes) {
      return WriteSizes(sizes, file);
    };
  }
  for (const RunSpec& spec : simulations.specs) {
    absl::Status status = CheckSimulatable(spec, simulations.options);
    if (status.ok()) status = CheckSimulationMemory(spec, simulations.options, FreeMemoryBytes());
    RM_RETURN_IF_ERROR(Annotate(status, "arm " + spec.name()));
  }
  return simulations;
}

// What a step computes for.
std::string ComputeNote(const SimulationOptions& options) {
  const std::string said = ToText(options.compute);
  if (!options.times.has_value()) return absl::StrCat(said, ", updates for nothing");
  const ComputeTimes& times = *options.times;
  return absl::StrFormat("%s (%.3g ms, and %.3g ms to load and to update, on %s)", said,
                         1e3 * times.compute_seconds(),
                         1e3 * (times.load_seconds() + times.update_seconds()), times.machine());
}

// Whether the arm ended at --stop-at-accuracy, and where.
std::string StopNote(const RunRecord& record) {
  if (!record.simulation().stopped_at_accuracy()) return "";
  for (const ProcessReport& report : record.reports()) {
    for (const WorkerReport& worker : report.workers()) {
      if (worker.evaluations().empty()) continue;
      const Evaluation& last = *worker.evaluations().rbegin();
      return absl::StrFormat(" until a score of %.2f %%, after %d samples",
                             100 * last.test_accuracy(), last.samples_seen());
    }
  }
  return "";
}

std::string OutcomeText(const RunRecord& record) {
  const Simulation& simulation = record.simulation();
  if (record.status() != "ok") return absl::StrCat("failed: ", record.status());
  return absl::StrFormat("%.2f virtual seconds%s, %s messages%s, in %.1f s",
                         simulation.virtual_seconds(), StopNote(record),
                         FormatCount(static_cast<double>(simulation.messages())),
                         simulation.merged_workers() > 0 ? " (one worker played for all)" : "",
                         simulation.wall_seconds());
}

int Simulate(const SimulateFlags& flags) {
  const auto fail = [](const absl::Status& status, int code) {
    Log(LogLevel::kError, status.message());
    return InterruptFlag() ? kExitInterrupted : code;
  };
  absl::StatusOr<Simulations> simulations = SimulationsOf(flags);
  if (!simulations.ok()) return fail(simulations.status(), kExitUserError);
  std::vector<RunSpec>& specs = simulations->specs;
  SimulationOptions& options = simulations->options;
  const absl::Status prepared = PrepareOutputs(&specs);
  if (!prepared.ok()) return fail(prepared, kExitUserError);
  absl::StatusOr<Outcome> outcome = Outcome::Open(flags.out);
  if (!outcome.ok()) return fail(outcome.status(), kExitUserError);
  if (options.compute.source == kMeasuredSource) {
    absl::StatusOr<ComputeTimes> measured = MeasureTimes(specs.front(), flags.keep_compute);
    if (!measured.ok()) return fail(measured.status(), kExitFailedRun);
    options.times = *std::move(measured);
  }
  for (size_t i = 0; i < specs.size() && !InterruptFlag(); ++i) {
    const std::string label = absl::StrCat(i + 1, "/", specs.size(), " ", specs[i].name());
    StatusLine line;
    const MonotonicTime begin = MonotonicNow();
    options.progress = [&](const SimulationProgress& progress) {
      std::string text = absl::StrFormat("%s  step %d/%d  %.2f virtual s", label, progress.steps,
                                         specs[i].training().steps(), progress.virtual_seconds);
      if (progress.test_accuracy.has_value())
        absl::StrAppendFormat(&text, "  accuracy %.4f", *progress.test_accuracy);
      line.Show(std::move(text), absl::ToDoubleSeconds(MonotonicNow() - begin), true);
    };
    RunRecord record = SimulateRun(specs[i], options);
    line.Finish(absl::StrCat(label, "  ", OutcomeText(record)));
    const absl::Status kept = outcome->Add(std::move(record)).status();
    if (!kept.ok()) return fail(kept, kExitFailedRun);
  }
  outcome->AddNote(absl::StrCat(
      "simulated: seconds are those of the cluster in the spec, not of this machine; a step "
      "computes for ",
      ComputeNote(options), "; codecs and sums take no time"));
  if (options.merges) {
    outcome->AddNote(
        "merged: all workers are alike, so one was played and stands for all; buckets were rounded "
        "up to chunks of one size");
  }
  if (options.sizes.has_value()) {
    outcome->AddNote(absl::StrCat("encodings of variable size have those of ", flags.sizes, " (",
                                  options.sizes->run(), ")"));
  }
  if (!outcome->empty()) outcome->Print(flags.json, flags.columns);
  if (InterruptFlag()) return kExitInterrupted;
  return outcome->all_ok() ? kExitOk : kExitFailedRun;
}

int PlanSimulations(const SimulateFlags& flags) {
  absl::StatusOr<Simulations> simulations = SimulationsOf(flags);
  if (!simulations.ok()) return ShowSpecs(simulations.status());
  return ShowSpecs(std::move(simulations->specs));
}

// What simulated workers take, where it is not computed.
void DeclareWhatIsTaken(Command command, SimulateFlags* flags) {
  flags->compute = kComputeWhenNobodySays;
  command
      .AddOption("--compute", &flags->compute,
                 "what a worker computes in a step: a time; measured, of one worker alone on this "
                 "machine; a file of --keep-compute; or lognormal(MEAN,SIGMA) with one of these as "
                 "the mean, drawn anew for each rank and step")
      .Takes("TIME")
      .ShowDefault();
  command
      .AddOption("--keep-compute", &flags->keep_compute,
                 "where --compute measured leaves what it has measured (.textproto)")
      .Takes("FILE");
  command
      .AddOption("--sizes", &flags->sizes,
                 "a file of --keep-sizes: what encodings take whose size depends on the gradient; "
                 "without --learn")
      .Takes("FILE");
  command
      .AddOption("--keep-sizes", &flags->keep_sizes,
                 "where a run of one arm with --learn leaves what its encodings take "
                 "(.textproto)")
      .Takes("FILE");
}

}  // namespace

void DeclareSimulate(Command program, Action* action) {
  Command command = program.AddCommand(
      "simulate",
      "whole runs on a cluster that is not there, in simulated time; with --learn, real "
      "training on it");
  command.SetFooter(kSimulateFooter);
  auto flags = std::make_shared<SimulateFlags>();
  command.AddOption("SPEC", &flags->spec_file,
                    "run spec (textproto) to simulate, or for --arms to start from");
  command
      .AddOption(
          "--arms", &flags->arms,
          absl::StrCat("arms, comma-separated [SPEC's own; without SPEC ",
                       absl::StrJoin(ArmsWhenNobodySays(), ","), "]; `ringmaster list` has more"))
      .Commas()
      .Takes("LIST");
  DeclareWhatIsTaken(command, flags.get());
  command.AddFlag("--learn", &flags->learns,
                  "compute every gradient, in the order of simulated time; without it time alone "
                  "is played");
  command.AddFlag("--merge", &flags->merges,
                  "where all workers are alike, play one that stands for all; what is cut in "
                  "chunks is rounded up to equal ones");
  command
      .AddOption("--stop-at-accuracy", &flags->stop_at_accuracy,
                 "end an arm at the first mark scored at this share or better; with --learn")
      .Takes("SHARE");
  command
      .AddOption("--threads", &flags->threads,
                 "threads that compute gradients, 0 for one a core; the bits do not depend on it")
      .Between(0, 1024)
      .ShowDefault();
  command
      .AddOption("--columns", &flags->columns,
                 "figures of the table, comma-separated; `ringmaster list` has all")
      .Commas()
      .Takes("LIST");
  command.AddOption("--out", &flags->out, "folder of results.jsonl and results.sqlite")
      .ShowDefault();
  command.AddFlag("--json", &flags->json,
                  "one JSON object on standard output instead of the table");
  flags->spec.Declare(command);
  command.OnChosen([action, flags] {
    *action = {[flags] { return Simulate(*flags); }, [flags] { return PlanSimulations(*flags); }};
  });
}

}  // namespace ringmaster
