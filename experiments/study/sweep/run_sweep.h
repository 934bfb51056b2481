#ifndef RINGMASTER_EXPERIMENTS_STUDY_SWEEP_RUN_SWEEP_H_
#define RINGMASTER_EXPERIMENTS_STUDY_SWEEP_RUN_SWEEP_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "experiments/program/run/run_arm.h"
#include "experiments/program/store/store.h"
#include "experiments/study/sweep/sweep_plan.h"
#include "proto/record.pb.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// Which of the runs that did not end well are made again: those that were stopped by nothing of
// their own (RunRecord.stopped), those that failed, or both.
enum class Retry { kNone, kStopped, kFailed, kAll };

// The share of one of several programs in a sweep.
struct SweepShard {
  size_t index = 0;  // below count
  size_t count = 1;
  // It does nothing but its own share. Otherwise it helps with what is left when that is done.
  bool is_strict = false;
};

// The plan's runs in the order in which the shard makes them: every count-th, and, unless it is
// strict, all others from the last one back, since their own shards begin at the front. Pure.
std::vector<PlannedRun> RunsOfShard(const SweepPlan& plan, const SweepShard& shard);

// How far a sweep is, of the runs that it has planned.
struct SweepState {
  size_t runs = 0;
  size_t done = 0;    // finished well
  size_t failed = 0;  // not those that were stopped
  size_t stopped = 0;
  // from the runs so far, those of the same cell where there are some; 0: nothing is known
  double seconds_left = 0;
};

// What `runs`, of the store, say of the plan; the time left is that of RunsLeft. Pure.
SweepState StateOf(const SweepPlan& plan, const std::vector<SweepRun>& runs, Retry retry);

// The planned runs that are still to be done, in order. Pure.
std::vector<PlannedRun> RunsLeft(const SweepPlan& plan, const std::vector<SweepRun>& runs,
                                 Retry retry);

// Who watches a sweep, called by the thread that runs it.
class SweepWatcher {
 public:
  virtual ~SweepWatcher() = default;
  virtual void OnStart(const SweepState& state, const PlannedCell& cell, int32_t trial) = 0;
  // A few times a second.
  virtual void OnProgress(const ArmProgress& progress) = 0;
  // `stopped`: it did not end well, by nothing of its own.
  virtual void OnEnd(const RunSummary& summary, bool stopped) = 0;
  // Nothing is left but runs that other programs are at, of which `holder` is one. Once.
  virtual void OnWait(const std::string& holder) = 0;
  // The program ends, and leaves `count` runs to others, of which `holder` is one.
  virtual void OnLeave(size_t count, const std::string& holder) = 0;
};

struct SweepOptions {
  int device = 0;
  Retry retry = Retry::kStopped;
  SweepShard shard;
  // Whether RunSweep returns when the plan is done; otherwise when all that is left is in the hands
  // of other programs that have been seen to live.
  bool waits_for_others = true;
  const std::atomic<bool>* interrupted = nullptr;
  std::string outputs;  // RunArmOptions'
  // Makes a cell's run, telling how far it is; absent: RunArm does.
  std::function<RunRecord(const PlannedCell& cell, const RunSpec& spec,
                          const ProgressSink& progress)>
      run;
  // Says what a run will take, before it runs; absent: nobody asks. Unimplemented where it cannot:
  // the run goes ahead without. Any other error ends the sweep.
  std::function<absl::StatusOr<Prediction>(const RunSpec& spec)> predict;
};

// Runs what is left of `plan`, one run after the other, and keeps each in `store` as it ends:
// whatever stops the program, a later call goes on with the run that was stopped. A run that fails
// is kept with its status, and the sweep goes on; no call makes a run twice. Several programs share
// the work on one store: each runs what it has claimed (cell_claims.h), and takes over what those
// who died had claimed. Cancelled: `interrupted` has been set, and the run of that moment is kept
// as stopped; else the store's errors.
absl::Status RunSweep(const SweepPlan& plan, Store& store, const SweepOptions& options,
                      SweepWatcher& watcher);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_SWEEP_RUN_SWEEP_H_
