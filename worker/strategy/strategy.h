#ifndef RINGMASTER_WORKER_STRATEGY_STRATEGY_H_
#define RINGMASTER_WORKER_STRATEGY_STRATEGY_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/codec/half_counts.h"
#include "common/params/param_layout.h"
#include "common/state/state.h"
#include "common/trace/trace.h"
#include "common/transport/transport.h"
#include "worker/strategy/bucket_gradient.h"
#include "worker/strategy/replica.h"

namespace ringmaster {

class RunSpec;
struct KeptMarks;

// All that a strategy sees of the world: no kernels, no model, no data. Everything outlives the
// strategy.
struct WorkerLink {
  int32_t rank = 0;
  int32_t workers = 0;
  int32_t servers = 0;
  int device = 0;                 // GPU, for a collective library that computes on one
  const RunSpec* spec = nullptr;  // resolved
  const ParamLayout* layout = nullptr;
  Replica* replica = nullptr;        // the weights that the worker computes with
  Transport* transport = nullptr;    // null where the strategy exchanges nothing
  GradientOffer offer;               // kDevice is GPU `device`
  PhaseTimes* step_times = nullptr;  // the step thread's; cleared by the loop between steps
  // grows with what is done that `transport` does not see; null: nobody looks
  std::atomic<int64_t>* work = nullptr;
  ThreadRecorder* exchange_recorder = nullptr;  // the exchange thread's; null: nothing is traced
  // the lot of the step under way, the step thread's; null: that which this rank is dealt
  const int64_t* step_lot = nullptr;
  // the step thread's, which raises it between steps: the steps below are not timed; null: those of
  // the warm-up alone are not
  const int64_t* timed_from = nullptr;
  // where the model at marks is kept, whole, by each worker that has it; null: the strategy has
  // memory of its own for its share
  KeptMarks* kept_marks = nullptr;
  // Told, by whichever thread, when more steps are settled: the first `steps` of the run are in the
  // weights for good, on all servers. Never fewer than before; null: nobody asks.
  std::function<void(int64_t steps)> settled;
  // Where a run goes on without lost workers and a drain averages all replicas: those that were
  // lost before all others had come to the drain under way, ascending, the same for all; null:
  // nobody is ever lost. The step thread's.
  std::function<std::vector<int32_t>()> lost_workers;

  // The lot that the worker computes in `step`, which is under way.
  int64_t lot(int64_t step) const {
    return step_lot == nullptr ? step * workers + rank : *step_lot;
  }
};

// What a strategy's exchange thread did, all steps together.
struct ExchangeReport {
  double encode_ms = 0;
  double exchange_ms = 0;
  double reduce_ms = 0;
  // Of the payload sent: what encoders said that their encodings have, as often as they were sent;
  // and how much of it is indices. 0 where gradients go as floats.
  int64_t encoded_bytes = 0;
  int64_t index_bytes = 0;
  std::vector<int32_t> step_pulls;              // WorkerReport's
  std::vector<std::string> bucket_collectives;  // of an all-reduce, by bucket
  // Where workers are around the model: how far this one is from it after Drain, the L2 norm of the
  // difference over that of the model.
  std::optional<double> consensus_distance;
  HalfTally halves;  // of gradients that it has encoded as halves; no elements: of none
  // of an all-reduce by another library, whose bytes our transport does not see
  std::string engine;
  std::map<std::string, std::string> engine_settings;  // Engine::settings
  absl::Status status;  // of all that it did, Finish's own messages included

  void AddTimes(const PhaseTimes& times) {
    encode_ms += times.Milliseconds(Phase::kEncode);
    exchange_ms += times.Milliseconds(Phase::kExchange);
    reduce_ms += times.Milliseconds(Phase::kReduce);
  }
};

// The model as it was at a mark.
struct MarkedModel {
  WeightsView weights;
  // When the weights had passed the mark: this worker's, or those that servers hold, of which it is
  // known only within the time that a message takes, and reported by them too.
  Clock::time_point passed;
  // false: since a worker is lost there never was such a model, and the weights are no model
  bool was_reached = true;
};

// The one thing that varies between arms. Called by the step thread only; a run's steps count from
// 0. After an error every call returns that error.
class SyncStrategy {
 public:
  virtual ~SyncStrategy() = default;
  // The form, among those offered, in which it takes its gradients, and of how many steps at once.
  // Asked once, before the first step.
  virtual GradientRequest Gradients() const = 0;
  // Which step comes next, where `step` would in turn: `step`, or a later one where the others have
  // ended some without this worker. Called before each BeginStep, which begins the step that it
  // says, and before a drain that ends a run; may wait as BeginStep does. Most say `step` at once.
  virtual absl::StatusOr<int64_t> NextStep(int64_t step) { return step; }
  // Returns when step `step` may start: the worker's weights are what the consistency model grants,
  // and the step's gradient buffer is free again. All waiting at a gate happens here.
  virtual absl::Status BeginStep(int64_t step) = 0;
  // The bucket's gradient, in the requested form. On a device it stays untouched by the loop until
  // EndStep(step) returns, on the host until BeginStep(step + Gradients().steps) does. Buckets come
  // in order. Only enqueues: never waits for a peer.
  virtual absl::Status GradReady(int64_t step, const Bucket& bucket,
                                 const BucketGradient& gradient) = 0;
  // All buckets of `step` have been handed over. Returns when their gradients may be overwritten on
  // a device; whether it waits for the exchange is the strategy's, and that wait counts as exposed.
  virtual absl::Status EndStep(int64_t step) = 0;
  // Waits until everything this worker sent is applied everywhere and all workers' updates of
  // finished steps are in the worker's weights (replicas: at once). Every worker calls it equally
  // often; where work is dealt, after the same step. Training may go on afterwards.
  virtual absl::Status Drain() = 0;
  // The weights that are the model: what is evaluated, reported and saved. Valid until the next
  // step begins. REQUIRES: Drain was the last call, or no step has begun.
  virtual WeightsView ModelWeights() const = 0;
  // The model at a mark, by its index in SampleMarks of the spec, at the last one too. Valid until
  // the next call. What a worker keeps of a mark it copies in EndStep, into memory taken when the
  // strategy was made, and gives up when asked for it. Every worker asks for every mark in
  // ascending order, after a Drain behind which no update of that mark is missing: the last one, or
  // an earlier one; of a run that went on from a state, for every later mark. Waits for the other
  // workers.
  virtual absl::StatusOr<MarkedModel> Recall(int32_t mark) = 0;
  // What it keeps from one step to the next beside the replica. REQUIRES: Drain or Finish was the
  // last call.
  virtual State Give() const = 0;
  // Bytes of that state. Where it is large, no copy is made to count it.
  virtual int64_t state_bytes() const { return Give().bytes(); }
  // Goes on where the strategy stopped that gave the state, of the same spec and rank, with the
  // same bits. REQUIRES: no step has begun. InvalidArgument: the state is of another kind or size.
  virtual absl::Status Take(const State& state) = 0;
  // Where servers hold the weights: has them keep their state before `step` as a checkpoint, and
  // returns when they have it. One worker calls it, while all stand still behind a Drain.
  virtual absl::Status Keep(int64_t step) { return absl::OkStatus(); }
  // What it has done so far. REQUIRES: Drain, Recall or Keep was the last call.
  virtual ExchangeReport Report() = 0;
  // Stops the exchange thread and reports; nothing but Give is called afterwards.
  virtual ExchangeReport Finish() = 0;
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_STRATEGY_STRATEGY_H_
