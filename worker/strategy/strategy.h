#ifndef RINGMASTER_WORKER_STRATEGY_STRATEGY_H_
#define RINGMASTER_WORKER_STRATEGY_STRATEGY_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/params/param_layout.h"
#include "common/trace/trace.h"
#include "common/transport/transport.h"
#include "common/update/update_rule.h"
#include "proto/run_spec.pb.h"
#include "worker/strategy/bucket_encoder.h"
#include "worker/strategy/device_gradients.h"

namespace ringmaster {

// The worker's weights: `front` is what the step thread computes with; `back` is what has come from outside, to be
// swapped in whole, by the step thread or while that waits in BeginStep or Drain; `back` is shared as the strategy
// arranges.
class WeightStore {
 public:
  explicit WeightStore(std::vector<float> initial) : front_(std::move(initial)), back_(front_) {}
  absl::Span<float> front() { return absl::MakeSpan(front_); }
  absl::Span<const float> front() const { return front_; }
  absl::Span<float> back() { return absl::MakeSpan(back_); }
  void Swap() {
    front_.swap(back_);
    ++version_;
  }
  // Puts `weights`, of as many elements, in the place of the back ones, which it gets.
  void SwapBack(std::vector<float>* weights) { back_.swap(*weights); }
  // The front weights were changed in place.
  void Touch() { ++version_; }
  // Moves whenever the front weights change: who holds a copy knows when to refresh it.
  int64_t version() const { return version_; }

 private:
  std::vector<float> front_;
  std::vector<float> back_;
  int64_t version_ = 0;
};

// All that a strategy sees of the world: no kernels, no model, no data. Everything outlives the strategy.
struct WorkerLink {
  int32_t rank = 0;
  int32_t workers = 0;
  int32_t servers = 0;
  int64_t global_batch = 0;
  int device = 0;                      // GPU, for a collective library that computes on one
  const RunSpec* spec = nullptr;       // resolved
  const ParamLayout* layout = nullptr;
  WeightStore* weights = nullptr;
  Transport* transport = nullptr;      // null where the strategy exchanges nothing
  UpdateRule* update = nullptr;        // for strategies in which workers hold the weights
  DeviceGradients* device_gradients = nullptr;  // of GPU `device`; null: they come to the host
  BucketEncoder* encoder = nullptr;    // of the spec's codec, where gradients are computed; null: the strategy encodes
  PhaseTimes* step_times = nullptr;    // the step thread's; cleared by the loop between steps
  std::atomic<int64_t>* work = nullptr;  // grows with what is done that `transport` does not see; null: nobody looks
  ThreadRecorder* exchange_recorder = nullptr;  // the exchange thread's; null: nothing is traced
  // Told each bucket's averaged gradient before it is applied, by strategies in which workers hold the weights, on the
  // step thread. Absent: nobody asks.
  std::function<void(int64_t step, const Bucket& bucket, absl::Span<const float> gradient)> averaged_gradient;
};

// What a strategy's exchange thread did, all steps together.
struct ExchangeReport {
  double encode_ms = 0;
  double exchange_ms = 0;
  double reduce_ms = 0;
  int64_t index_bytes = 0;  // of the payload sent
  std::vector<std::string> bucket_collectives;  // of an all-reduce, by bucket
  std::string engine;       // of an all-reduce by another library, whose bytes our transport does not see
  absl::Status status;      // of all that it did, Finish's own messages included

  void AddTimes(const PhaseTimes& times) {
    encode_ms += times.Milliseconds(Phase::kEncode);
    exchange_ms += times.Milliseconds(Phase::kExchange);
    reduce_ms += times.Milliseconds(Phase::kReduce);
  }
};

// The one thing that varies between arms. Called by the step thread only; steps count from 0.
// After an error every call returns that error.
class SyncStrategy {
 public:
  virtual ~SyncStrategy() = default;
  // Returns when step `step` may start: front weights are what the consistency model grants, and the step's gradient
  // buffer is free again. All waiting at a gate happens here.
  virtual absl::Status BeginStep(int64_t step) = 0;
  // The bucket's gradient, already scaled, [bucket.count] on the host (with an encoder that the strategy has
  // prepared, or gradients that it takes on the device: memory for it alone), stays untouched by the loop until
  // BeginStep(step + 2) returns; the strategy may change it. Buckets come in order. Only enqueues: never waits for a
  // peer.
  virtual absl::Status GradReady(int64_t step, const Bucket& bucket, absl::Span<float> gradient) = 0;
  virtual absl::Status EndStep(int64_t step) = 0;
  // Waits until everything this worker sent is applied everywhere and all workers' updates of finished steps are in
  // the front weights (replicas: at once). Every worker calls it after the same step; training may go on afterwards.
  virtual absl::Status Drain() = 0;
  // Stops the exchange thread and reports; nothing else is called afterwards.
  virtual ExchangeReport Finish() = 0;
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_STRATEGY_STRATEGY_H_
