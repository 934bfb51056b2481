#ifndef RINGMASTER_EXPERIMENTS_STUDY_TUNE_RUN_TUNING_H_
#define RINGMASTER_EXPERIMENTS_STUDY_TUNE_RUN_TUNING_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "experiments/program/store/store.h"
#include "experiments/study/sweep/cells.h"
#include "experiments/study/sweep/run_sweep.h"
#include "experiments/study/sweep/sweep_plan.h"
#include "experiments/study/tune/grid.h"
#include "proto/run_record.pb.h"
#include "proto/run_spec.pb.h"
#include "proto/sweep_spec.pb.h"

namespace ringmaster {

// What `compare --tune` and --budget ask for.
struct TuningRequest {
  std::vector<std::string> grids;  // ParseGridField
  int64_t budget_samples = 0;      // for each point, of all workers together
};

// One arm's part of a tuning, or one cell's of a sweep.
struct ArmTuning {
  Settings settings;              // what makes it of the base: {"arm", "ring"}, and more
  std::vector<GridField> fields;  // of the grid, those that the arm has; none: nothing is tuned
  std::vector<size_t> cells;  // by point: index of TuningPlan::runs.cells; empty where no fields
};

// A tuning before it runs. A point of an arm is a cell of a sweep of one trial: the same samples,
// seeds and evaluation for all arms and points.
struct TuningPlan {
  RunSpec base;  // of the arms, not resolved; with TuningSpec
  std::vector<ArmTuning> arms;
  SweepPlan runs;
};

// Plans the tuning of arms of `base`. An arm that learns nothing that counts (solo) keeps the
// base's values. `sets`: what --set was given. A learning rate's schedule ends with the budget.
// InvalidArgument, with what the user wrote: a grid that is none, a field that arms may not differ
// in (IsTunable), that --set sets too or that SetField refuses; a field that none of the arms has
// or that one decides itself (CheckTaken); a budget below one step, or none of the arms to be
// tuned.
absl::StatusOr<TuningPlan> PlanTuning(const RunSpec& base, const std::vector<std::string>& arms,
                                      const std::vector<std::string>& sets,
                                      const TuningRequest& request, SpecResolver resolve,
                                      InputsSource inputs);

// The same for `cells` of `sweep`, which has a tuning: each cell is tuned, as an arm is.
// InvalidArgument as above, with what the sweep says; a tuned field may be no axis'.
absl::StatusOr<TuningPlan> PlanTuning(const SweepSpec& sweep, const SweepCells& cells,
                                      SpecResolver resolve, InputsSource inputs);

// An arm as it is compared, or a cell as it is run.
struct TunedArm {
  Settings settings;                // ArmTuning's
  RunSpec spec;                     // with its best values; not resolved
  std::vector<TuningTrial> trials;  // empty: nothing was tuned
};

// Runs what `store` does not have of the plan (run_sweep.h), and chooses each arm's best point
// (choice.h); the result is by arm of the plan. A run that failed otherwise than by divergence is
// tried again by the next call. FailedPrecondition: an arm diverged at every point. Unavailable: a
// run failed otherwise. Cancelled: interrupted. Else the store's errors.
absl::StatusOr<std::vector<TunedArm>> RunTuning(const TuningPlan& plan, Store& store,
                                                const SweepOptions& options, SweepWatcher& watcher);

// For each arm's field whose best value lies at the edge of its grid, a warning with what to do.
std::vector<std::string> EdgeWarnings(const std::vector<TunedArm>& arms);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_TUNE_RUN_TUNING_H_
