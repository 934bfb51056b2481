#ifndef RINGMASTER_EXPERIMENTS_STUDY_SWEEP_SWEEP_PLAN_H_
#define RINGMASTER_EXPERIMENTS_STUDY_SWEEP_SWEEP_PLAN_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "experiments/study/sweep/cells.h"
#include "proto/record.pb.h"
#include "proto/run_spec.pb.h"
#include "proto/sweep_spec.pb.h"

namespace ringmaster {

// A cell that can be run.
struct PlannedCell {
  Settings settings;
  RunSpec spec;                     // resolved and valid
  RunInputs inputs;                 // what a run of it reads
  std::string compute;              // of a step in simulated time; empty: it is really run
  std::string id;                   // CellId
  std::vector<TuningTrial> tuning;  // what its tuned values were found from
  std::optional<size_t> solo;  // index of SweepPlan::cells: the same with nothing exchanged, the
                               // ceiling of efficiency
  bool added = false;  // a solo cell that nobody asked for: without it there is no efficiency
};

struct PlannedRun {
  size_t cell = 0;  // index of SweepPlan::cells
  int32_t trial = 0;
};

// Cells whose settings make no difference to another cell, which is run in their stead.
struct SameCell {
  Settings settings;
  size_t as = 0;  // index of SweepPlan::cells
};

struct SweepPlan {
  std::string name;
  std::string question;  // what it answers; may be empty
  std::vector<PlannedCell> cells;
  std::vector<ExcludedCell> excluded;
  std::vector<SameCell> same;
  std::vector<uint64_t> seeds;    // training.seed, by trial
  std::vector<PlannedRun> order;  // every cell once a trial, in an order drawn anew for each trial
};

// Identity of a cell: the same for the same resolved spec, but for name, outputs and training.seed,
// the same files' contents, and the same simulation (SimulationKey). Pure.
std::string CellId(RunSpec spec, const RunInputs& inputs, const std::string& simulation);

// Names how cells of the sweep are simulated where a step takes `compute`; empty: they are not.
std::string SimulationKey(const SweepSpec& sweep, const std::string& compute);

// Turns a spec with defaults left out into one that can be run, or says why it cannot.
using SpecResolver = absl::FunctionRef<absl::StatusOr<RunSpec>(const RunSpec&)>;

// Says what a run of a resolved spec reads.
using InputsSource = absl::FunctionRef<absl::StatusOr<RunInputs>(const RunSpec&)>;

// `cells` of `sweep`, resolved, each once, and the order of their runs. For every group of cells
// that differ in strategy, codec or tuned values alone the solo arm is added where it is missing.
// `name` is the sweep's where it has none. InvalidArgument, with the cell's settings and what to
// do: a cell that cannot be run (nothing is, then), a wrong number of seeds or trials.
absl::StatusOr<SweepPlan> PlanSweep(const SweepSpec& sweep, SweepCells cells,
                                    const std::string& name, SpecResolver resolve,
                                    InputsSource inputs);

// The same of ExpandCells(sweep), whose errors it has too: nothing is tuned.
absl::StatusOr<SweepPlan> PlanSweep(const SweepSpec& sweep, const std::string& name,
                                    SpecResolver resolve, InputsSource inputs);

// The spec of one run.
RunSpec SpecOfRun(const SweepPlan& plan, const PlannedRun& run);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_SWEEP_SWEEP_PLAN_H_
