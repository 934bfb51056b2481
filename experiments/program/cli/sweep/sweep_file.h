#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_CLI_SWEEP_SWEEP_FILE_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_CLI_SWEEP_SWEEP_FILE_H_

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "experiments/program/run/arm_progress.h"
#include "experiments/study/sweep/cells.h"
#include "experiments/study/sweep/run_sweep.h"
#include "experiments/study/sweep/sweep_plan.h"
#include "experiments/study/tune/run_tuning.h"
#include "proto/run_record.pb.h"
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
// meant; else as LoadTextproto, PlanSweep, PlanTuning and, of a cell that is simulated,
// CheckSimulatable. A program in its base is asked what it trains (CompleteProgram, with `out`).
absl::StatusOr<LoadedSweep> LoadSweep(const std::string& file, const std::string& out);

// Gives the cells the values that were found for them, by cell, and plans the sweep anew.
absl::Status UseTuned(const std::vector<TunedArm>& tuned, LoadedSweep* sweep);

// Plays a run of a cell in simulated time, as the sweep says. The cell has been checked by
// LoadSweep. `threads` compute gradients; `interrupted` may be set from elsewhere to end it.
RunRecord SimulateCell(const SweepSpec& sweep, const PlannedCell& cell, const RunSpec& spec,
                       int32_t threads, const std::atomic<bool>* interrupted,
                       const ProgressSink& progress);

// The share that `text` names: "2/4" is the second of four; "auto" that of this task of an array
// job (ReadArrayTask), or all where it is none. InvalidArgument: anything else.
absl::StatusOr<SweepShard> ParseShard(const std::string& text);

// The folder, below that of a store, in which runs that only choose values are kept.
std::string TuningFolder(const std::string& store);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_CLI_SWEEP_SWEEP_FILE_H_
