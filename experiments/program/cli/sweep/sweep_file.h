#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_CLI_SWEEP_SWEEP_FILE_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_CLI_SWEEP_SWEEP_FILE_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "experiments/study/sweep/cells.h"
#include "experiments/study/sweep/sweep_plan.h"
#include "experiments/study/tune/run_tuning.h"
#include "proto/sweep_spec.pb.h"

namespace ringmaster {

// A sweep as its file says it, and what follows for this machine's files and environment.
struct LoadedSweep {
  SweepSpec spec;
  std::string name;  // where the spec has none
  SweepCells cells;
  std::optional<TuningPlan> tuning;  // what is run first, to find each cell's values
  SweepPlan plan;                    // of the cells, tuned or not
};

// Reads and plans the sweep in `file`; nothing is tuned. NotFound names a preset that was probably
// meant; else as LoadTextproto, PlanSweep and PlanTuning.
absl::StatusOr<LoadedSweep> LoadSweep(const std::string& file);

// Gives the cells the values that were found for them, by cell, and plans the sweep anew.
absl::Status UseTuned(const std::vector<TunedArm>& tuned, LoadedSweep* sweep);

// The folder, below that of a store, in which runs that only choose values are kept.
std::string TuningFolder(const std::string& store);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_CLI_SWEEP_SWEEP_FILE_H_
