#ifndef RINGMASTER_WORKER_LOOP_BUCKET_DELIVERY_H_
#define RINGMASTER_WORKER_LOOP_BUCKET_DELIVERY_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/params/param_layout.h"
#include "common/state/state.h"
#include "common/tensor/tensor.h"
#include "common/trace/trace.h"
#include "worker/loop/loop_replica.h"
#include "worker/loop/micro_batch.h"
#include "worker/loop/slowdown.h"
#include "worker/loop/stager.h"
#include "worker/loop/worker_setup.h"
#include "worker/strategy/strategy.h"

namespace ringmaster {

// What a bucket delivery works with; everything outlives it.
struct DeliveryParts {
  const WorkerSetup* setup = nullptr;
  StepShape shape;
  float statistic_scale = 1;  // StagerOptions'
  Slowdown* slowdown = nullptr;
  PhaseTimes* times = nullptr;
  SyncStrategy* strategy = nullptr;
  LoopReplica* replica = nullptr;
};

// Brings buckets from backward to the strategy, in order: each as soon as it has arrived, in the
// form that the strategy asks for, after the additions that every arm makes. The gradients' memory
// is its own. The step thread's.
//
// Calls of one micro-batch: ForwardCalled, Begin, BucketDone for each bucket, DeliverRest, End.
class BucketDelivery {
 public:
  static absl::StatusOr<std::unique_ptr<BucketDelivery>> Create(const DeliveryParts& parts);

  // The kernels have been called for all of forward.
  absl::Status ForwardCalled();
  // Backward of `micro_batch` begins. Returns where it writes the gradient.
  TensorView Begin(const MicroBatch& micro_batch);
  // Backward has finished `bucket`, or called for what does.
  absl::Status BucketDone(const Bucket& bucket);
  // Waits for the buckets that have not come, and delivers them.
  absl::Status DeliverRest();
  // Backward is over, its loss included.
  void End() { CountBackward(-1); }

  // The stager's, between steps.
  absl::StatusOr<State> Give() const { return stager_->Give(); }
  absl::Status Take(const State& state) { return stager_->Take(state); }

 private:
  explicit BucketDelivery(const DeliveryParts& parts)
      : parts_(parts), layout_(parts.setup->model->layout()) {}

  // The stager's slot that backward writes the micro-batch's gradient to, and the one in which a
  // rank's add up.
  int32_t Slot() const;
  int32_t SumSlot(int32_t share) const;
  // Delivers finished buckets in their order: those that have arrived, or with `wait` all.
  absl::Status DeliverBuckets(bool wait);
  // Hands on one bucket, waiting for it.
  absl::Status Deliver(const Bucket& bucket);
  // The bucket's gradient, added to those before it: the sum of what has arrived so far.
  absl::StatusOr<BucketGradient> Collect(const Bucket& bucket);
  void AddTo(int32_t share, const Bucket& bucket, BucketGradient* gradient);
  // A device may go on after its calls have returned: counts what is left of the update before and
  // of forward, at the first bucket of a backward.
  absl::Status AwaitForward();
  // Adds backward's time since it began or went on. `bucket`: which it has just finished; -1: none.
  void CountBackward(int32_t bucket) {
    parts_.times->Add(Phase::kBackward, backward_since_, Clock::now(), bucket);
  }

  const DeliveryParts parts_;
  const ParamLayout& layout_;
  std::unique_ptr<Stager> stager_;
  std::unique_ptr<WorkPoint> forward_end_;  // of a device; null on the host
  int32_t steps_ = 1;                       // GradientRequest's
  MicroBatch micro_batch_;                  // whose backward is under way
  size_t finished_ = 0;  // its buckets, and those of them that have been delivered
  size_t delivered_ = 0;
  // when it began, or went on after what it is interrupted by at each bucket
  Clock::time_point backward_since_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_LOOP_BUCKET_DELIVERY_H_
