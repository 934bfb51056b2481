#include "experiments/study/sweep/run_sweep.h"

#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/interruptible_sleep.h"
#include "common/base/status_macros.h"
#include "common/base/system_error.h"
#include "common/checkpoint/checkpoint_folder.h"
#include "common/config/run_inputs.h"
#include "common/log/log.h"
#include "experiments/program/run/run_checkpoints.h"
#include "experiments/study/sweep/cell_claims.h"
#include "experiments/study/results/summary.h"
#include "proto/run_record.pb.h"

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

// One call of RunSweep.
class SweepAtWork {
 public:
  SweepAtWork(const SweepPlan& plan, Store& store, const SweepOptions& options, CellClaims& claims,
              SweepWatcher& watcher)
      : plan_(plan), store_(store), options_(options), claims_(claims), watcher_(watcher) {
    arm_.device = options.device;
    arm_.interrupted = options.interrupted;
    arm_.progress = [&watcher](const ArmProgress& progress) { watcher.OnProgress(progress); };
  }

  // Runs what nobody else runs, then waits for the rest, since whoever runs it may be stopped.
  absl::Status RunAll() {
    for (bool said = false;;) {
      RM_ASSIGN_OR_RETURN(const std::vector<SweepRun> runs, store_.SweepRuns(plan_.name));
      std::string holder;
      for (const PlannedRun& run : RunsLeft(plan_, runs, options_.retry_failed))
        RM_RETURN_IF_ERROR(RunIfFree(run, &holder));
      if (holder.empty()) return absl::OkStatus();
      if (!said) watcher_.OnWait(holder);
      said = true;
      RM_RETURN_IF_ERROR(SleepUntil(std::chrono::steady_clock::now() + kLook, [this] {
        return IsInterrupted() ? absl::CancelledError("interrupted") : absl::OkStatus();
      }));
    }
  }

 private:
  static constexpr std::chrono::milliseconds kLook{500};

  bool IsInterrupted() const { return options_.interrupted != nullptr && *options_.interrupted; }

  RunKey KeyOf(const PlannedRun& run) const { return {plan_.cells[run.cell].id, run.trial}; }

  // Whether the run is still to be done, and by this program; `runs`, if not null, gets what the
  // store has.
  absl::StatusOr<bool> IsToBeDone(const PlannedRun& run, std::vector<SweepRun>* runs) {
    if (done_here_.count(KeyOf(run)) > 0) return false;
    RM_ASSIGN_OR_RETURN(std::vector<SweepRun> stored, store_.SweepRuns(plan_.name));
    const bool left = IsLeft(plan_, run, LastByKey(stored), options_.retry_failed);
    if (runs != nullptr) *runs = std::move(stored);
    return left;
  }

  // `holder`: set when another program is at the run.
  absl::Status RunIfFree(const PlannedRun& run, std::string* holder) {
    RM_ASSIGN_OR_RETURN(const bool left, IsToBeDone(run, nullptr));
    if (!left) return absl::OkStatus();
    RM_ASSIGN_OR_RETURN(const std::unique_ptr<CellClaim> claim,
                        claims_.Claim({plan_.name, plan_.cells[run.cell].id, run.trial}, holder));
    if (claim == nullptr) return absl::OkStatus();
    // Its last holder may have stored it before it gave the claim up.
    std::vector<SweepRun> runs;
    RM_ASSIGN_OR_RETURN(const bool still_left, IsToBeDone(run, &runs));
    return still_left ? RunOne(run, runs, *claim) : absl::OkStatus();
  }

  absl::Status RunOne(const PlannedRun& run, const std::vector<SweepRun>& runs,
                      const CellClaim& claim) {
    const PlannedCell& cell = plan_.cells[run.cell];
    watcher_.OnStart(StateOf(plan_, runs, options_.retry_failed), cell, run.trial);
    RunSpec spec = SpecOfRun(plan_, run);
    if (!options_.run) RM_RETURN_IF_ERROR(UseCheckpoints(run, &spec));
    RM_ASSIGN_OR_RETURN(const std::optional<Prediction> prediction, PredictionOf(spec, options_));
    RunRecord record = options_.run ? options_.run(cell, spec, arm_.progress) : RunArm(spec, arm_);
    if (IsInterrupted()) return absl::CancelledError("interrupted");
    SweepMembership* membership = record.mutable_sweep();
    membership->set_sweep(plan_.name);
    // What it has read, not what was there when the sweep was planned, says of which cell it is.
    const bool has_inputs =
        record.status() == "ok" && record.has_inputs() && !record.has_simulation();
    membership->set_cell(has_inputs ? CellId(spec, record.inputs(), "") : cell.id);
    membership->set_trial(run.trial);
    membership->set_settings(SettingsJson(cell.settings));
    record.mutable_tuning()->Add(cell.tuning.begin(), cell.tuning.end());
    if (prediction) *record.mutable_prediction() = *prediction;
    *record.mutable_summary() = Summarize(record);
    done_here_.insert(KeyOf(run));
    if (!claim.IsHeld()) {
      Log(LogLevel::kWarning,
          absl::StrCat("sweep ", plan_.name, ", cell ", SettingsJson(cell.settings), " trial ",
                       run.trial,
                       ": this program stood still for so long that another one took the run "
                       "over; its own result is not kept"));
      return absl::OkStatus();
    }
    RM_RETURN_IF_ERROR(store_.Append(record));
    RemoveCheckpoints(spec);
    watcher_.OnEnd(record.summary());
    if (membership->cell() == cell.id) return absl::OkStatus();
    return absl::FailedPreconditionError(absl::StrCat(
        "cell ", SettingsText(cell.settings), ", trial ", run.trial,
        ": a file was replaced since the sweep began: the ",
        InputsDifference(cell.inputs, record.inputs()),
        "; the run is kept as another cell's; start the sweep again for the files that are there "
        "now"));
  }

  // Has a run that makes checkpoints keep them beside the store, and go on from those of a program
  // that was stopped.
  absl::Status UseCheckpoints(const PlannedRun& run, RunSpec* spec) const {
    if (spec->training().checkpoint_every_steps() == 0) return absl::OkStatus();
    OutputSpec* const output = spec->mutable_output();
    output->set_checkpoints(absl::StrCat(store_.folder(), "/checkpoints/", plan_.name, "-",
                                         plan_.cells[run.cell].id, "-", run.trial));
    output->set_checkpoints_kept(2);
    std::error_code error;
    std::filesystem::create_directories(output->checkpoints(), error);
    if (error)
      return SystemError(error.value(), absl::StrCat("cannot make ", output->checkpoints()));
    for (const std::string& why : ResumeFromNewest(spec)) Log(LogLevel::kWarning, why);
    if (output->has_resume_step()) {
      Log(LogLevel::kInfo,
          absl::StrCat("the run goes on from its checkpoint before step ", output->resume_step()));
      return absl::OkStatus();
    }
    return RemoveCheckpointsAfter(output->checkpoints(), 0);  // what is left is of no use
  }

  const SweepPlan& plan_;
  Store& store_;
  const SweepOptions& options_;
  CellClaims& claims_;
  SweepWatcher& watcher_;
  RunArmOptions arm_;
  std::set<RunKey> done_here_;
};

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
  RM_ASSIGN_OR_RETURN(const std::unique_ptr<CellClaims> claims, CellClaims::Open(store.folder()));
  return SweepAtWork(plan, store, options, *claims, watcher).RunAll();
}

}  // namespace ringmaster
