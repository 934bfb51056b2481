#include "experiments/program/cli/sweep/sweep_file.h"

#include <filesystem>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "common/base/check.h"
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"
#include "common/config/textproto.h"
#include "experiments/program/run/launcher_environment.h"
#include "experiments/program/run/programs/ask_program.h"
#include "experiments/program/run/resolve_spec.h"
#include "experiments/program/run/run_arm.h"
#include "experiments/program/run/run_inputs.h"
#include "experiments/study/simulate/compute_text.h"
#include "experiments/study/simulate/simulated_run.h"

namespace ringmaster {
namespace {

// Where a file is missing and none beside it has nearly its name: the preset that was probably
// meant.
absl::Status WithPreset(const absl::Status& status, const std::string& file) {
  if (!absl::IsNotFound(status) || absl::StrContains(status.message(), "did you mean"))
    return status;
  // In a checkout, and in a bundle.
  for (const char* folder : {"experiments/presets", "presets"}) {
    const std::string preset = NearbyTextproto(file, folder);
    if (!preset.empty())
      return absl::NotFoundError(absl::StrCat(status.message(), "; did you mean ", preset, "?"));
  }
  return status;
}

// Turns specs into ones that this machine can run, and reads each of their files once.
class Resolver {
 public:
  absl::StatusOr<RunSpec> Resolve(const RunSpec& spec) const {
    return ResolveAndValidate(spec, environment_.default_data_dir);
  }
  absl::StatusOr<RunInputs> Inputs(const RunSpec& spec) { return inputs_.Read(spec); }

  absl::Status Plan(LoadedSweep* sweep) {
    RM_ASSIGN_OR_RETURN(sweep->plan, PlanSweep(
                                         sweep->spec, sweep->cells, sweep->name,
                                         [this](const RunSpec& spec) { return Resolve(spec); },
                                         [this](const RunSpec& spec) { return Inputs(spec); }));
    return absl::OkStatus();
  }

  absl::Status PlanTuningOf(LoadedSweep* sweep) {
    RM_ASSIGN_OR_RETURN(sweep->tuning, PlanTuning(
                                           sweep->spec, sweep->cells,
                                           [this](const RunSpec& spec) { return Resolve(spec); },
                                           [this](const RunSpec& spec) { return Inputs(spec); }));
    return absl::OkStatus();
  }

 private:
  const Environment environment_ = ReadEnvironment();
  InputsReader inputs_;
};

// How a cell is simulated.
absl::StatusOr<SimulationOptions> SimulationOf(const SweepSpec& sweep, const PlannedCell& cell) {
  const SimulationSpec& said = sweep.simulate();
  SimulationOptions options;
  RM_ASSIGN_OR_RETURN(options.compute, ParseStepCompute(cell.compute));
  if (options.compute.source == kMeasuredSource) {
    return absl::InvalidArgumentError(
        "compute \"measured\": each run would measure anew; measure once, with `ringmaster "
        "simulate --compute measured --keep-compute FILE`, and name that file");
  }
  RM_ASSIGN_OR_RETURN(options.times, LoadTimes(options.compute));
  if (!said.sizes().empty())
    RM_RETURN_IF_ERROR(LoadTextproto(said.sizes(), "file of sizes", &options.sizes.emplace()));
  options.learns = said.learn();
  if (said.has_stop_at_accuracy()) {
    if (!(said.stop_at_accuracy() > 0 && said.stop_at_accuracy() <= 1)) {
      return absl::InvalidArgumentError(absl::StrCat("simulate.stop_at_accuracy ",
                                                     said.stop_at_accuracy(),
                                                     ": expected a share above 0 and up to 1"));
    }
    options.stop_at_accuracy = said.stop_at_accuracy();
  }
  return options;
}

absl::Status CheckSimulation(const LoadedSweep& sweep) {
  if (!sweep.spec.has_simulate()) return absl::OkStatus();
  for (const PlannedCell& cell : sweep.plan.cells) {
    const absl::StatusOr<SimulationOptions> options = SimulationOf(sweep.spec, cell);
    absl::Status status = options.status();
    if (status.ok()) status = CheckSimulatable(cell.spec, *options);
    RM_RETURN_IF_ERROR(
        Annotate(status, absl::StrCat("cell ", SettingsText(cell.settings),
                                      " cannot be simulated (mend it, or exclude it with a "
                                      "reason)")));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<LoadedSweep> LoadSweep(const std::string& file, const std::string& out) {
  LoadedSweep sweep;
  RM_RETURN_IF_ERROR(WithPreset(LoadTextproto(file, "sweep", &sweep.spec), file));
  if (!sweep.spec.base().model().program().command().empty())
    RM_RETURN_IF_ERROR(CompleteProgram(out, sweep.spec.mutable_base()));
  sweep.name = std::filesystem::path(file).stem().string();
  RM_ASSIGN_OR_RETURN(sweep.cells, ExpandCells(sweep.spec));
  Resolver resolver;
  // What is wrong with the sweep itself is found before anything is tuned for it.
  RM_RETURN_IF_ERROR(resolver.Plan(&sweep));
  RM_RETURN_IF_ERROR(CheckSimulation(sweep));
  if (sweep.spec.has_tuning()) RM_RETURN_IF_ERROR(resolver.PlanTuningOf(&sweep));
  return sweep;
}

absl::Status UseTuned(const std::vector<TunedArm>& tuned, LoadedSweep* sweep) {
  RM_CHECK(tuned.size() == sweep->cells.cells.size());
  for (size_t i = 0; i < tuned.size(); ++i) {
    sweep->cells.cells[i].spec = tuned[i].spec;
    sweep->cells.cells[i].tuning = tuned[i].trials;
  }
  return Resolver().Plan(sweep);
}

RunRecord SimulateCell(const SweepSpec& sweep, const PlannedCell& cell, const RunSpec& spec,
                       int32_t threads, const std::atomic<bool>* interrupted,
                       const ProgressSink& progress) {
  const MonotonicTime begin = MonotonicNow();
  absl::StatusOr<SimulationOptions> options = SimulationOf(sweep, cell);
  if (!options.ok()) {  // its file has changed since
    RunRecord record = NewRecord(spec);
    record.set_status(std::string(options.status().message()));
    return record;
  }
  options->threads = threads;
  options->interrupted = interrupted;
  options->progress = [&](const SimulationProgress& now) {
    ArmProgress told;
    told.step = now.steps;
    told.steps = spec.training().steps();
    told.test_accuracy = now.test_accuracy.value_or(0);
    told.phase = absl::StrFormat("%.2f virtual s", now.virtual_seconds);
    told.seconds = absl::ToDoubleSeconds(MonotonicNow() - begin);
    progress(told);
  };
  return SimulateRun(spec, *options);
}

absl::StatusOr<SweepShard> ParseShard(const std::string& text) {
  SweepShard shard;
  if (text == "auto") {
    RM_ASSIGN_OR_RETURN(const std::optional<ArrayTask> task, ReadArrayTask());
    if (!task.has_value()) return shard;
    shard.index = static_cast<size_t>(task->index);
    shard.count = static_cast<size_t>(task->count);
    return shard;
  }
  const std::vector<std::string> parts = absl::StrSplit(text, '/');
  int32_t ordinal = 0, count = 0;
  if (parts.size() != 2 || !absl::SimpleAtoi(parts[0], &ordinal) ||
      !absl::SimpleAtoi(parts[1], &count) || count < 1 || ordinal < 1 || ordinal > count) {
    return absl::InvalidArgumentError(
        absl::StrCat("--shard ", text, ": expected I/N with I from 1 to N, such as 2/4, or auto"));
  }
  shard.index = static_cast<size_t>(ordinal - 1);
  shard.count = static_cast<size_t>(count);
  return shard;
}

std::string TuningFolder(const std::string& store) { return store + "/tuning"; }

}  // namespace ringmaster
