#include "experiments/study/sweep/run_sweep.h"

#include <map>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/config/run_inputs.h"
#include "experiments/study/results/summary.h"

namespace ringmaster {
namespace {

using RunKey = std::pair<std::string, int32_t>;  // cell, trial

// The last word on every run: a retried one may have failed before.
using LastRuns = std::map<RunKey, const SweepRun*>;

LastRuns LastByKey(const std::vector<SweepRun>& runs) {
  LastRuns last;
  for (const SweepRun& run : runs) {
    const SweepRun*& entry = last[{run.cell, run.trial}];
    if (entry == nullptr || entry->status != "ok") entry = &run;
  }
  return last;
}

// Whether the run is still to be done.
bool IsLeft(const SweepPlan& plan, const PlannedRun& run, const LastRuns& last, bool retry_failed) {
  const auto found = last.find({plan.cells[run.cell].id, run.trial});
  return found == last.end() || (retry_failed && found->second->status != "ok");
}

// Mean seconds of a run, by cell and (under the empty name) of all.
std::map<std::string, double> MeanSeconds(const std::vector<SweepRun>& runs) {
  std::map<std::string, std::pair<double, int>> sums;
  for (const SweepRun& run : runs) {
    if (run.status != "ok") continue;
    for (const std::string& name : {run.cell, std::string()}) {
      sums[name].first += run.seconds;
      ++sums[name].second;
    }
  }
  std::map<std::string, double> means;
  for (const auto& [name, sum] : sums) means[name] = sum.first / sum.second;
  return means;
}

// Nothing where nobody asks, or where nobody can say.
absl::StatusOr<std::optional<Prediction>> PredictionOf(const RunSpec& spec,
                                                       const SweepOptions& options) {
  if (!options.predict) return std::optional<Prediction>();
  absl::StatusOr<Prediction> prediction = options.predict(spec);
  if (prediction.ok()) return std::optional<Prediction>(*std::move(prediction));
  if (absl::IsUnimplemented(prediction.status())) return std::optional<Prediction>();
  return prediction.status();
}

}  // namespace

std::vector<PlannedRun> RunsLeft(const SweepPlan& plan, const std::vector<SweepRun>& runs,
                                 bool retry_failed) {
  const auto last = LastByKey(runs);
  std::vector<PlannedRun> left;
  for (const PlannedRun& run : plan.order) {
    if (IsLeft(plan, run, last, retry_failed)) left.push_back(run);
  }
  return left;
}

SweepState StateOf(const SweepPlan& plan, const std::vector<SweepRun>& runs, bool retry_failed) {
  SweepState state;
  state.runs = plan.order.size();
  const auto last = LastByKey(runs);
  for (const PlannedRun& run : plan.order) {
    const auto found = last.find({plan.cells[run.cell].id, run.trial});
    if (found == last.end()) continue;
    ++(found->second->status == "ok" ? state.done : state.failed);
  }
  const std::map<std::string, double> means = MeanSeconds(runs);
  if (means.empty()) return state;
  for (const PlannedRun& run : RunsLeft(plan, runs, retry_failed)) {
    const auto own = means.find(plan.cells[run.cell].id);
    state.seconds_left += own != means.end() ? own->second : means.at("");
  }
  return state;
}

absl::Status RunSweep(const SweepPlan& plan, Store& store, const SweepOptions& options,
                      SweepWatcher& watcher) {
  RunArmOptions arm;
  arm.device = options.device;
  arm.interrupted = options.interrupted;
  arm.progress = [&watcher](const ArmProgress& progress) { watcher.OnProgress(progress); };
  RM_ASSIGN_OR_RETURN(std::vector<SweepRun> runs, store.SweepRuns(plan.name));
  for (const PlannedRun& run : RunsLeft(plan, runs, options.retry_failed)) {
    // Another program may have done it meanwhile.
    RM_ASSIGN_OR_RETURN(runs, store.SweepRuns(plan.name));
    if (!IsLeft(plan, run, LastByKey(runs), options.retry_failed)) continue;
    const PlannedCell& cell = plan.cells[run.cell];
    watcher.OnStart(StateOf(plan, runs, options.retry_failed), cell, run.trial);
    const RunSpec spec = SpecOfRun(plan, run);
    RM_ASSIGN_OR_RETURN(const std::optional<Prediction> prediction, PredictionOf(spec, options));
    RunRecord record = RunArm(spec, arm);
    if (options.interrupted != nullptr && *options.interrupted)
      return absl::CancelledError("interrupted");
    SweepMembership* membership = record.mutable_sweep();
    membership->set_sweep(plan.name);
    // What it has read, not what was there when the sweep was planned, says of which cell it is.
    const bool has_inputs = record.status() == "ok" && record.has_inputs();
    membership->set_cell(has_inputs ? CellId(spec, record.inputs()) : cell.id);
    membership->set_trial(run.trial);
    membership->set_settings(SettingsJson(cell.settings));
    if (prediction) *record.mutable_prediction() = *prediction;
    *record.mutable_summary() = Summarize(record);
    RM_RETURN_IF_ERROR(store.Append(record));
    watcher.OnEnd(record.summary());
    if (membership->cell() == cell.id) continue;
    return absl::FailedPreconditionError(absl::StrCat(
        "cell ", SettingsText(cell.settings), ", trial ", run.trial,
        ": a file was replaced since the sweep began: the ",
        InputsDifference(cell.inputs, record.inputs()),
        "; the run is kept as another cell's; start the sweep again for the files that are there "
        "now"));
  }
  return absl::OkStatus();
}

}  // namespace ringmaster
