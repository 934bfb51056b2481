#ifndef RINGMASTER_WORKER_LOOP_WORKER_SETUP_H_
#define RINGMASTER_WORKER_LOOP_WORKER_SETUP_H_

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/exchange/kept_marks.h"
#include "common/params/shared_arena.h"
#include "common/state/kept_steps.h"
#include "common/state/state.h"
#include "common/tensor/tensor.h"
#include "common/trace/node_traces.h"
#include "common/transport/metered.h"
#include "worker/data/dataset.h"
#include "worker/kernels/kernel_library.h"
#include "worker/loop/conductor.h"
#include "worker/loop/evaluate.h"
#include "worker/model/model.h"
#include "worker/strategy/strategy.h"

namespace ringmaster {

class RunSpec;
class WorkerReport;

// Makes a worker's strategy.
using StrategyFactory =
    std::function<absl::StatusOr<std::unique_ptr<SyncStrategy>>(const WorkerLink&)>;

// What one worker trains with; everything outlives the loop.
struct WorkerSetup {
  int32_t rank = 0;
  int device = 0;                 // GPU, where there is one
  const RunSpec* spec = nullptr;  // resolved
  const Dataset* dataset = nullptr;
  KernelLibrary* kernels = nullptr;
  Model* model = nullptr;
  SharedArena* initial_weights = nullptr;  // of which the worker takes its own, once
  // The run begins at `first_step`, where `state` was given (TrainingLoop::Give) by a worker of the
  // same spec and rank; then all workers and servers have theirs. Null: at step 0, with the initial
  // weights.
  int64_t first_step = 0;
  const State* state = nullptr;
  // What that worker had reported; null: nothing, and this report begins at `first_step`.
  const WorkerReport* report_before = nullptr;
  // Where the group is formed anew in a run, or its processes are started again: the clock of
  // training goes on from where it began. Absent: it begins here, or where `report_before` says.
  std::optional<Clock::time_point> clock_begin;
  // Where the group is formed anew: the marks that were passed before this step are scored. Absent:
  // all that were passed before `first_step` are.
  std::optional<int64_t> scored_at;
  // What the run goes back to when a process is lost: the worker's state at the beginning of every
  // step, and the model at marks. Where it is lost the report is complete up to there too. Null:
  // nobody goes back.
  KeptSteps* kept_steps = nullptr;
  KeptMarks* kept_marks = nullptr;
  MeteredTransport* transport = nullptr;  // null where nothing is exchanged
  BufferAllocator allocate_exchange;  // of host memory that the transport moves fastest; absent:
                                      // ordinary memory
  Conductor* conductor = nullptr;
  WorkerProgress* progress = nullptr;
  StrategyFactory create_strategy;  // absent: the one of worker/strategy that the spec names
  WorkerTraces* traces = nullptr;   // where the traced steps are recorded; null: nowhere
  // Called with the model's final weights, which stay as they are while the loop is there. Absent:
  // nobody asks.
  std::function<void(absl::Span<const float> weights)> on_trained;
  // Called with the moment when the clock of training began. Absent: nobody asks.
  std::function<void(Clock::time_point begin)> on_begin;
  // Called before every step, and with the number of all steps when no work is left, its time on no
  // clock; an error ends training. Returns whether the step is timed; false leaves it out of means
  // and medians. Where work is claimed `step` is that of the step's lot, lot / N: it never falls,
  // and all lots of earlier steps are somebody's. Absent: nobody asks.
  std::function<absl::StatusOr<bool>(int64_t step)> before_step;
  // Called when a step begins, on its clock: for faults that somebody wants. Returns by which the
  // worker's computing is slowed from then on, which an emulated model knows itself; 1: not at all.
  // `step` is as of before_step. Absent: nothing slows it but the spec.
  std::function<double(int64_t step)> on_step;
  // Called at every checkpoint (training.checkpoint_every_steps), while all stand still, with what
  // the worker needs to go on before `step`: `state`, and its serialized report so far. Absent:
  // nobody keeps them.
  std::function<void(int64_t step, State state, std::string report)> keep;
};

// Samples that the model of a worker must take at once, where it trains on `batch_per_worker`. The
// rounding of convolutions depends on it, so every arm asks here.
inline int64_t LargestBatch(int64_t batch_per_worker, const SampleShape& shape) {
  return std::max<int64_t>(EvaluationBatch(shape), batch_per_worker);
}

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_LOOP_WORKER_SETUP_H_
