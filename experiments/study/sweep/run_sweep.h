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

// How far a sweep is, of the runs that it has planned.
struct SweepState {
  size_t runs = 0;
  size_t done = 0;  // finished well
  size_t failed = 0;
  // from the runs so far, those of the same cell where there are some; 0: nothing is known
  double seconds_left = 0;
};

// What `runs`, of the store, say of the plan. With `retry_failed` a failed run counts as one to be
// done. Pure.
SweepState StateOf(const SweepPlan& plan, const std::vector<SweepRun>& runs, bool retry_failed);

// The planned runs that are still to be done, in order. A failed run is not, unless `retry_failed`.
// Pure.
std::vector<PlannedRun> RunsLeft(const SweepPlan& plan, const std::vector<SweepRun>& runs,
                                 bool retry_failed);

// Who watches a sweep, called by the thread that runs it.
class SweepWatcher {
 public:
  virtual ~SweepWatcher() = default;
  virtual void OnStart(const SweepState& state, const PlannedCell& cell, int32_t trial) = 0;
  // A few times a second.
  virtual void OnProgress(const ArmProgress& progress) = 0;
  virtual void OnEnd(const RunSummary& summary) = 0;
  // Nothing is left but runs that other programs are at, of which `holder` is one. Once.
  virtual void OnWait(const std::string& holder) = 0;
};

struct SweepOptions {
  int device = 0;
  bool retry_failed = false;
  const std::atomic<bool>* interrupted = nullptr;
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
// is kept with its status, and the sweep goes on. Several programs share the work on one store:
// each runs what it has claimed (cell_claims.h), and at the end waits for the others' runs, so it
// returns when the plan is done. Cancelled: `interrupted` has been set; else the store's errors.
absl::Status RunSweep(const SweepPlan& plan, Store& store, const SweepOptions& options,
                      SweepWatcher& watcher);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_SWEEP_RUN_SWEEP_H_
