#include "experiments/study/sweep/run_sweep.h"

#include <algorithm>
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
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"
#include "common/base/system_error.h"
#include "common/checkpoint/checkpoint_folder.h"
#include "common/config/run_inputs.h"
#include "common/log/log.h"
#include "common/machine/file_system.h"
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
bool IsLeft(const SweepPlan& plan, const PlannedRun& run, const LastRuns& last, Retry retry) {
  const auto found = last.find({plan.cells[run.cell].id, run.trial});
  if (found == last.end()) return true;
  if (found->second->status == "ok") return false;
  return retry == Retry::kAll ||
         retry == (found->second->stopped ? Retry::kStopped : Retry::kFailed);
}

// Those of `order` that are still to be done.
std::vector<PlannedRun> LeftOf(const std::vector<PlannedRun>& order, const SweepPlan& plan,
                               const std::vector<SweepRun>& runs, Retry retry) {
  const auto last = LastByKey(runs);
  std::vector<PlannedRun> left;
  for (const PlannedRun& run : order) {
    if (IsLeft(plan, run, last, retry)) left.push_back(run);
  }
  return left;
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
      : plan_(plan),
        store_(store),
        options_(options),
        claims_(claims),
        watcher_(watcher),
        order_(RunsOfShard(plan, options.shard)) {
    arm_.device = options.device;
    arm_.interrupted = options.interrupted;
    arm_.outputs = options.outputs;
    arm_.progress = [&watcher](const ArmProgress& progress) { watcher.OnProgress(progress); };
  }

  // Runs what nobody else runs, then waits for the rest, since whoever runs it may be stopped.
  absl::Status RunAll() {
    MonotonicTime waits_since = MonotonicTime::InfiniteFuture();
    for (;;) {
      RM_ASSIGN_OR_RETURN(const std::vector<SweepRun> runs, store_.SweepRuns(plan_.name));
      Others others;
      looks_again_ = false;
      for (const PlannedRun& run : LeftOf(order_, plan_, runs, options_.retry))
        RM_RETURN_IF_ERROR(RunIfFree(run, &others));
      if (looks_again_) continue;
      if (others.runs == 0) return absl::OkStatus();
      if (waits_since == MonotonicTime::InfiniteFuture()) {
        watcher_.OnWait(others.holder);
        waits_since = MonotonicNow();
      } else if (!options_.waits_for_others && others.longest_unchanged > waits_since) {
        watcher_.OnLeave(others.runs, others.holder);
        return absl::OkStatus();
      }
      RM_RETURN_IF_ERROR(SleepUntil(std::chrono::steady_clock::now() + kLook, [this] {
        return IsInterrupted() ? absl::CancelledError("interrupted") : absl::OkStatus();
      }));
    }
  }

 private:
  // What other programs are at.
  struct Others {
    size_t runs = 0;
    std::string holder;  // one of them
    // Since when the claim is unchanged whose last sign of life is the oldest.
    MonotonicTime longest_unchanged = MonotonicTime::InfiniteFuture();
  };

  static constexpr std::chrono::milliseconds kLook{500};

  bool IsInterrupted() const { return options_.interrupted != nullptr && *options_.interrupted; }

  RunKey KeyOf(const PlannedRun& run) const { return {plan_.cells[run.cell].id, run.trial}; }

  // Whether the run is still to be done, and by this program; `runs`, if not null, gets what the
  // store has.
  absl::StatusOr<bool> IsToBeDone(const PlannedRun& run, std::vector<SweepRun>* runs) {
    if (done_here_.count(KeyOf(run)) > 0) return false;
    RM_ASSIGN_OR_RETURN(std::vector<SweepRun> stored, store_.SweepRuns(plan_.name));
    const bool left = IsLeft(plan_, run, LastByKey(stored), options_.retry);
    if (runs != nullptr) *runs = std::move(stored);
    return left;
  }

  absl::Status RunIfFree(const PlannedRun& run, Others* others) {
    if (IsInterrupted()) return absl::CancelledError("interrupted");
    RM_ASSIGN_OR_RETURN(const bool left, IsToBeDone(run, nullptr));
    if (!left) return absl::OkStatus();
    RM_ASSIGN_OR_RETURN(const ClaimAttempt attempt,
                        claims_.Claim({plan_.name, plan_.cells[run.cell].id, run.trial}));
    if (attempt.claim == nullptr) {
      ++others->runs;
      others->holder = attempt.holder;
      others->longest_unchanged = std::min(others->longest_unchanged, attempt.unchanged_since);
      return absl::OkStatus();
    }
    // Its last holder may have stored it before it gave the claim up.
    std::vector<SweepRun> runs;
    RM_ASSIGN_OR_RETURN(const bool still_left, IsToBeDone(run, &runs));
    return still_left ? RunOne(run, runs, *attempt.claim) : absl::OkStatus();
  }

  absl::Status RunOne(const PlannedRun& run, const std::vector<SweepRun>& runs,
                      const CellClaim& claim) {
    const PlannedCell& cell = plan_.cells[run.cell];
    watcher_.OnStart(StateOf(plan_, runs, options_.retry), cell, run.trial);
    RunSpec spec = SpecOfRun(plan_, run);
    if (!options_.run) RM_RETURN_IF_ERROR(UseCheckpoints(run, &spec));
    RM_ASSIGN_OR_RETURN(const std::optional<Prediction> prediction, PredictionOf(spec, options_));
    RunRecord record = options_.run ? options_.run(cell, spec, arm_.progress) : RunArm(spec, arm_);
    const bool interrupted = IsInterrupted();
    if (interrupted && record.status() != "ok") record.set_stopped(true);
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
    const absl::Status kept = store_.AppendIf(record, [&claim] { return claim.IsHeld(); });
    if (absl::IsAborted(kept)) {
      // It is still to be done: by who has taken it over, or should that one die by this program.
      Log(LogLevel::kWarning,
          absl::StrCat("sweep ", plan_.name, ", cell ", SettingsJson(cell.settings), " trial ",
                       run.trial,
                       ": this program stood still for so long that another one took the run "
                       "over; its own result is not kept"));
      looks_again_ = true;
      return interrupted ? absl::CancelledError("interrupted") : absl::OkStatus();
    }
    RM_RETURN_IF_ERROR(kept);
    done_here_.insert(KeyOf(run));
    // Made again, a run that was stopped goes on from its checkpoints.
    if (!record.stopped()) RemoveCheckpoints(spec);
    watcher_.OnEnd(record.summary(), record.stopped());
    if (interrupted) return absl::CancelledError("interrupted");
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
  const std::vector<PlannedRun> order_;
  RunArmOptions arm_;
  std::set<RunKey> done_here_;
  bool looks_again_ = false;  // a claim was lost, so a run may be left that was not counted
};

}  // namespace

std::vector<PlannedRun> RunsOfShard(const SweepPlan& plan, const SweepShard& shard) {
  std::vector<PlannedRun> own, others;
  for (size_t i = 0; i < plan.order.size(); ++i)
    (i % shard.count == shard.index ? own : others).push_back(plan.order[i]);
  if (!shard.is_strict) own.insert(own.end(), others.rbegin(), others.rend());
  return own;
}

std::vector<PlannedRun> RunsLeft(const SweepPlan& plan, const std::vector<SweepRun>& runs,
                                 Retry retry) {
  return LeftOf(plan.order, plan, runs, retry);
}

SweepState StateOf(const SweepPlan& plan, const std::vector<SweepRun>& runs, Retry retry) {
  SweepState state;
  state.runs = plan.order.size();
  const auto last = LastByKey(runs);
  for (const PlannedRun& run : plan.order) {
    const auto found = last.find({plan.cells[run.cell].id, run.trial});
    if (found == last.end()) continue;
    const SweepRun& run_found = *found->second;
    ++(run_found.status == "ok" ? state.done : run_found.stopped ? state.stopped : state.failed);
  }
  const std::map<std::string, double> means = MeanSeconds(runs);
  if (means.empty()) return state;
  for (const PlannedRun& run : RunsLeft(plan, runs, retry)) {
    const auto own = means.find(plan.cells[run.cell].id);
    state.seconds_left += own != means.end() ? own->second : means.at("");
  }
  return state;
}

absl::Status RunSweep(const SweepPlan& plan, Store& store, const SweepOptions& options,
                      SweepWatcher& watcher) {
  RM_ASSIGN_OR_RETURN(
      const std::unique_ptr<CellClaims> claims,
      CellClaims::Open(store.folder(), LeaseOn(NetworkFileSystemAt(store.folder()))));
  return SweepAtWork(plan, store, options, *claims, watcher).RunAll();
}

}  // namespace ringmaster
