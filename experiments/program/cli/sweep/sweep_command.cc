#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "common/config/load.h"
#include "common/log/log.h"
#include "common/machine/machine.h"
#include "experiments/program/cli/commands.h"
#include "experiments/program/cli/predict/link_measurement.h"
#include "experiments/program/cli/signals.h"
#include "experiments/program/cli/sweep/sweep_file.h"
#include "experiments/program/cli/sweep/sweep_watcher.h"
#include "experiments/program/run/memory/memory_check.h"
#include "experiments/program/cli/terminal.h"
#include "experiments/program/cli/weights_file.h"
#include "experiments/program/run/job_credentials.h"
#include "experiments/program/store/store.h"
#include "experiments/study/predict/calibrate.h"
#include "experiments/study/results/summary.h"
#include "experiments/study/sweep/run_sweep.h"
#include "experiments/study/sweep/sweep_plan.h"
#include "experiments/study/sweep/sweep_table.h"
#include "experiments/study/tune/run_tuning.h"
#include "proto/run_record.pb.h"

namespace ringmaster {
namespace {

constexpr char kSweepFooter[] =
    "FILE is a SweepSpec textproto (proto/sweep_spec.proto):\n"
    "  base { model { name: \"mlp\" } training { steps: 200 } }\n"
    "  axes { field: \"arm\" values: [\"ps\", \"ring\"] }\n"
    "  axes { field: \"training.workers\" range { from: 1 to: 4 factor: 2 } }\n"
    "  exclude { when { field: \"arm\" value: \"ring\" } when { field: \"training.workers\" value: "
    "\"1\" }\n"
    "            reason: \"a ring of one exchanges nothing\" }\n"
    "  trials: 5\n"
    "An axis with when { field: \"arm\" value: \"ssp\" } is there for these cells alone. With\n"
    "  tuning { fields { field: \"optimizer.learning_rate\" values: [\"0.1\", \"0.2\"] }\n"
    "           budget_samples: 20000 }\n"
    "each cell is first tried at these values, then run at its best one. With\n"
    "  simulate { compute: \"20ms\" learn: true stop_at_accuracy: 0.97 }\n"
    "each is played in simulated time, as `ringmaster simulate` does.\n"
    "\n"
    "Every run is kept as it ends. However a sweep was stopped, the same command goes on where it "
    "was. The solo arm is\n"
    "added where it is missing: without it nobody knows what could have been reached.\n"
    "Several sweeps of one FILE with one folder share its runs. `ringmaster sweep FILE --shard "
    "auto` in a Slurm array\n"
    "job has each task begin with its own share, then help with what is left; a task that is "
    "killed leaves its runs to\n"
    "the others. Tasks with a folder each (--strict-shard) are put together by `ringmaster "
    "merge`.\n"
    "Exit code 0: all runs done, 1: some failed or were stopped, 2: a mistake in the file or the "
    "flags, 130: interrupted.";

struct SweepFlags {
  std::string tls_folder;  // empty: none is named
  std::string file;
  std::string out = "ringmaster-out";
  bool dry_run = false;
  std::string retry = "stopped";
  bool retry_failed = false;
  std::string shard;  // as given; empty: none
  bool strict_shard = false;
  bool no_index = false;
  bool predict = false;
  int device = 0;
};

Retry RetryOf(const SweepFlags& flags) {
  if (flags.retry_failed || flags.retry == "all") return Retry::kAll;
  if (flags.retry == "failed") return Retry::kFailed;
  return flags.retry == "none" ? Retry::kNone : Retry::kStopped;
}

StoreIndex IndexOf(const SweepFlags& flags) {
  return flags.no_index ? StoreIndex::kNone : StoreIndex::kKept;
}

// How this program takes part in the sweep. InvalidArgument: --shard is none, or it does not fit.
absl::StatusOr<SweepOptions> OptionsFor(const SweepFlags& flags, const LoadedSweep& sweep) {
  SweepOptions options;
  options.device = flags.device;
  options.retry = RetryOf(flags);
  options.interrupted = &InterruptFlag();
  options.outputs = flags.out + "/programs";
  if (flags.strict_shard && flags.shard.empty())
    return absl::InvalidArgumentError("--strict-shard: of which share? give --shard I/N too");
  if (flags.shard.empty()) return options;
  RM_ASSIGN_OR_RETURN(options.shard, ParseShard(flags.shard));
  options.shard.is_strict = flags.strict_shard;
  options.waits_for_others = false;
  if (flags.strict_shard && sweep.tuning.has_value()) {
    return absl::InvalidArgumentError(
        "--strict-shard: this sweep tunes, and each task would choose values of its own; have all "
        "tasks share one folder, without --strict-shard");
  }
  return options;
}

// Seconds that a run of each cell takes at least, by its index: start-up and evaluation as a few
// steps of its solo cell show them, and so many of its steps. Runs the solo cells; nothing is kept.
absl::StatusOr<std::map<size_t, double>> Probe(const SweepPlan& plan, const SweepFlags& flags) {
  constexpr int32_t kSteps = 10, kWarmUp = 2;
  // by solo cell: seconds of the run, of a step
  std::map<size_t, std::pair<double, double>> probed;
  std::map<size_t, double> seconds;
  RunArmOptions options;
  options.device = flags.device;
  options.interrupted = &InterruptFlag();
  for (size_t i = 0; i < plan.cells.size(); ++i) {
    const PlannedCell& cell = plan.cells[i];
    const size_t base = cell.solo.value_or(i);
    if (probed.count(base) == 0) {
      RunSpec spec = plan.cells[base].spec;
      spec.mutable_training()->set_steps(std::min<int64_t>(spec.training().steps(), kSteps));
      spec.mutable_training()->set_warmup_steps(
          std::min<int32_t>(kWarmUp, spec.training().steps() - 1));
      spec.mutable_training()->set_evaluate_every_samples(0);
      std::fprintf(stderr, "trying %s\n", SettingsText(plan.cells[base].settings).c_str());
      const RunRecord record = RunArm(spec, options);
      if (record.status() != "ok")
        return absl::UnavailableError(
            absl::StrCat("trying ", SettingsText(cell.settings), ": ", record.status()));
      probed[base] = {record.conditions().seconds(), Summarize(record).step_ms_p50() / 1000};
    }
    const auto [run, step] = probed[base];
    seconds[i] = run + step * static_cast<double>(
                                  std::max<int64_t>(0, cell.spec.training().steps() - kSteps));
  }
  return seconds;
}

absl::Status DryRun(const LoadedSweep& sweep, const std::vector<SweepRun>& runs,
                    const SweepFlags& flags) {
  const SweepPlan& plan = sweep.plan;
  std::printf("%s", PlanText(plan, runs).c_str());
  const std::vector<PlannedRun> left = RunsLeft(plan, runs, RetryOf(flags));
  const SweepState state = StateOf(plan, runs, RetryOf(flags));
  std::printf("%zu runs: %zu done, %zu failed, %s%zu to do", state.runs, state.done, state.failed,
              state.stopped == 0 ? "" : absl::StrCat(state.stopped, " stopped, ").c_str(),
              left.size());
  if (left.empty() || (sweep.spec.has_simulate() && state.seconds_left == 0)) {
    std::printf("\n");
    return absl::OkStatus();
  }
  if (state.seconds_left > 0) {
    std::printf(": about %s, as the finished ones took\n",
                FormatSeconds(state.seconds_left).c_str());
    return absl::OkStatus();
  }
  std::printf("\n");
  std::fflush(stdout);
  std::fprintf(
      stderr,
      "to estimate how long they take, a few steps of each kind are trained now, and not kept\n");
  RM_ASSIGN_OR_RETURN(const auto seconds, Probe(plan, flags));
  double total = 0;
  for (const PlannedRun& run : left) total += seconds.at(run.cell);
  std::printf("at least %s, were nothing exchanged\n", FormatSeconds(total).c_str());
  return absl::OkStatus();
}

absl::Status RunAndShow(const LoadedSweep& sweep, Store& store, SweepOptions options,
                        const SweepFlags& flags) {
  const SweepPlan& plan = sweep.plan;
  TerminalWatcher watcher;
  CalibrationOptions calibration;
  calibration.device = flags.device;
  calibration.interrupted = &InterruptFlag();
  calibration.measure_link = MeasureLink;
  calibration.tell = [](absl::string_view what) {
    std::fprintf(stderr, "measuring: %s\n", std::string(what).c_str());
  };
  Predictor predictor(std::move(calibration));
  if (flags.predict)
    options.predict = [&predictor](const RunSpec& spec) { return predictor.Predict(spec); };
  if (sweep.spec.has_simulate()) {
    const int32_t threads = std::max(1, DescribeMachine().cores());
    options.run = [&sweep, threads](const PlannedCell& cell, const RunSpec& spec,
                                    const ProgressSink& progress) {
      return SimulateCell(sweep.spec, cell, spec, threads, &InterruptFlag(), progress);
    };
  }
  const absl::Status status = RunSweep(plan, store, options, watcher);
  if (!status.ok() && !absl::IsCancelled(status)) return status;
  RM_ASSIGN_OR_RETURN(std::vector<RunRecord> records, store.Records());
  records.erase(
      std::remove_if(records.begin(), records.end(),
                     [&](const RunRecord& record) { return record.sweep().sweep() != plan.name; }),
      records.end());
  std::printf("%s%s\nrecords: %s\n", InterruptFlag() ? "\n" : "",
              ResultsText(plan, records).c_str(), store.FilesText().c_str());
  if (absl::IsCancelled(status))
    std::fprintf(stderr, "interrupted; the same command goes on from here\n");
  return status;
}

std::vector<RunSpec> SpecsOf(const SweepPlan& plan) {
  std::vector<RunSpec> specs;
  for (const PlannedCell& cell : plan.cells) specs.push_back(cell.spec);
  return specs;
}

// What --dry-run shows, without a step of training.
absl::StatusOr<LoadedSweep> Load(const SweepFlags& flags) {
  RM_ASSIGN_OR_RETURN(LoadedSweep sweep, LoadSweep(flags.file, flags.out));
  RM_RETURN_IF_ERROR(CheckOutputsWithin(sweep.spec.base(), flags.out));
  return sweep;
}

int ShowPlan(const SweepFlags& flags) {
  const absl::StatusOr<LoadedSweep> sweep = Load(flags);
  absl::Status status = sweep.status();
  if (status.ok()) status = OptionsFor(flags, *sweep).status();
  if (!status.ok()) {
    Log(LogLevel::kError, status.message());
    return kExitUserError;
  }
  if (sweep->tuning.has_value()) {
    std::printf("%s%zu runs to find each cell's values; then\n",
                PlanText(sweep->tuning->runs, {}).c_str(), sweep->tuning->runs.order.size());
  }
  std::printf("%s%zu runs\n", PlanText(sweep->plan, {}).c_str(), sweep->plan.order.size());
  if (!sweep->spec.has_simulate()) {
    const std::string memory = LargestMemoryText(SpecsOf(sweep->plan));
    if (!memory.empty()) std::printf("memory of the largest run, %s\n", memory.c_str());
  }
  return kExitOk;
}

// Finds each cell's values, where the sweep tunes some, with what a store of its own has of the
// runs: the same command goes on where it was, and reports of the sweep leave them out.
absl::Status Tune(const SweepFlags& flags, const SweepOptions& options, LoadedSweep* sweep) {
  if (!sweep->tuning.has_value()) return absl::OkStatus();
  const std::string folder = TuningFolder(flags.out);
  RM_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, Store::Open(folder, IndexOf(flags)));
  std::fprintf(stderr, "tuning: %zu runs of %lld samples each, kept in %s\n",
               sweep->tuning->runs.order.size(),
               static_cast<long long>(sweep->spec.tuning().budget_samples()), folder.c_str());
  TerminalWatcher watcher;
  RM_ASSIGN_OR_RETURN(const std::vector<TunedArm> tuned,
                      RunTuning(*sweep->tuning, *store, options, watcher));
  for (const std::string& warning : EdgeWarnings(tuned)) Log(LogLevel::kWarning, warning);
  return UseTuned(tuned, sweep);
}

// --dry-run of a sweep that tunes: the values are known once the runs that find them are done.
absl::Status DryRunTuned(const SweepFlags& flags, const SweepOptions& options, LoadedSweep* sweep) {
  const TuningPlan& tuning = *sweep->tuning;
  RM_ASSIGN_OR_RETURN(const std::vector<SweepRun> runs,
                      Store::ReadSweepRuns(TuningFolder(flags.out), tuning.runs.name));
  const size_t left = RunsLeft(tuning.runs, runs, Retry::kStopped).size();
  if (left == 0) {
    RM_RETURN_IF_ERROR(Tune(flags, options, sweep));
  } else {
    std::printf("%s%zu runs of %lld samples to find each cell's values, %zu to do; then\n",
                PlanText(tuning.runs, runs).c_str(), tuning.runs.order.size(),
                static_cast<long long>(sweep->spec.tuning().budget_samples()), left);
  }
  RM_ASSIGN_OR_RETURN(const std::vector<SweepRun> stored,
                      Store::ReadSweepRuns(flags.out, sweep->plan.name));
  return DryRun(*sweep, stored, flags);
}

int ShowWhatIsLeft(const SweepFlags& flags, const SweepOptions& options, LoadedSweep* sweep) {
  const auto status = [&]() -> absl::Status {
    if (sweep->tuning.has_value()) return DryRunTuned(flags, options, sweep);
    RM_ASSIGN_OR_RETURN(const std::vector<SweepRun> runs,
                        Store::ReadSweepRuns(flags.out, sweep->plan.name));
    return DryRun(*sweep, runs, flags);
  }();
  if (InterruptFlag()) return kExitInterrupted;
  if (status.ok()) return kExitOk;
  Log(LogLevel::kError, status.message());
  return absl::IsInvalidArgument(status) ? kExitUserError : kExitFailedRun;
}

int Sweep(const SweepFlags& flags) {
  const auto fail = [](const absl::Status& status, int code) {
    Log(LogLevel::kError, status.message());
    return code;
  };
  if (!flags.tls_folder.empty()) {
    const absl::Status usable = UseTlsFolder(flags.tls_folder);
    if (!usable.ok()) return fail(usable, kExitUserError);
  }
  absl::StatusOr<LoadedSweep> sweep = Load(flags);
  if (!sweep.ok()) return fail(sweep.status(), kExitUserError);
  const absl::StatusOr<SweepOptions> options = OptionsFor(flags, *sweep);
  if (!options.ok()) return fail(options.status(), kExitUserError);
  const SweepPlan& plan = sweep->plan;
  if (flags.predict && sweep->spec.has_simulate()) {
    return fail(absl::InvalidArgumentError(
                    "--predict: this sweep is simulated, and so says what a step takes"),
                kExitUserError);
  }
  if (!plan.question.empty()) std::fprintf(stderr, "%s\n", plan.question.c_str());
  TellOfWeights(SpecsOf(plan));
  if (flags.dry_run) return ShowWhatIsLeft(flags, *options, &*sweep);
  auto store = Store::Open(flags.out, IndexOf(flags));
  if (!store.ok()) return fail(store.status(), kExitUserError);
  absl::Status status = Tune(flags, *options, &*sweep);
  if (status.ok()) status = RunAndShow(*sweep, **store, *options, flags);
  if (InterruptFlag()) return kExitInterrupted;
  if (!status.ok()) return fail(status, kExitFailedRun);
  const auto now = (*store)->SweepRuns(plan.name);
  if (!now.ok()) return fail(now.status(), kExitFailedRun);
  const SweepState state = StateOf(plan, *now, RetryOf(flags));
  if (state.failed > 0)
    std::fprintf(stderr, "%zu runs failed; --retry-failed tries them again\n", state.failed);
  if (state.stopped > 0)
    std::fprintf(stderr, "%zu runs were stopped; the same command makes them again\n",
                 state.stopped);
  return state.failed + state.stopped > 0 ? kExitFailedRun : kExitOk;
}

}  // namespace

void DeclareSweep(Command program, Action* action) {
  Command command =
      program.AddCommand("sweep", "run every combination of some settings, several times each");
  command.SetFooter(kSweepFooter);
  auto flags = std::make_shared<SweepFlags>();
  command.AddOption("FILE", &flags->file, "what to vary (textproto)").Required();
  command.AddOption("--out", &flags->out, "folder of results.jsonl and results.sqlite")
      .ShowDefault();
  command.AddFlag(
      "--dry-run", &flags->dry_run,
      "show the cells and how long they will take: trains a few steps to estimate, unless runs are "
      "stored, and keeps nothing");
  command
      .AddOption("--tls", &flags->tls_folder,
                 "folder of certificates, where the file says transport { security: \"tls\" } "
                 "[RINGMASTER_TLS_DIR]")
      .Takes("DIR");
  command
      .AddOption("--shard", &flags->shard,
                 "begin with the I-th of N shares of the runs; auto: as this task of a Slurm array "
                 "job (SLURM_ARRAY_TASK_ID). Ends when other living programs are at all that is "
                 "left")
      .Takes("I/N");
  command.AddFlag("--strict-shard", &flags->strict_shard,
                  "do nothing but that share, as where each task has a folder of its own");
  command
      .AddOption("--retry", &flags->retry,
                 "which runs are made again: those that were stopped (by a signal, for want of "
                 "memory, with a host that was lost), those that failed, all of them, or none")
      .OneOf({"stopped", "failed", "all", "none"})
      .ShowDefault();
  command.AddFlag("--retry-failed", &flags->retry_failed,
                  "run again what failed before; the same as --retry all");
  command.AddFlag("--no-index", &flags->no_index,
                  "keep no results.sqlite, as on network file systems, where none is kept anyway");
  command.AddFlag("--predict", &flags->predict,
                  "say before each run what its step will take, as `ringmaster predict` does, "
                  "and keep that with it");
  command.AddOption("--device", &flags->device, "GPU that the ranks share, where there is one")
      .Between(0, 1023);
  command.OnChosen([action, flags] {
    *action = {[flags] { return Sweep(*flags); }, [flags] { return ShowPlan(*flags); }};
  });
}

}  // namespace ringmaster
