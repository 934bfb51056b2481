#ifndef RINGMASTER_WORKER_LOOP_LOOP_REPLICA_H_
#define RINGMASTER_WORKER_LOOP_LOOP_REPLICA_H_

#include <cstdint>
#include <functional>
#include <utility>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "worker/strategy/replica.h"

namespace ringmaster {

// A replica as the training loop has it.
class LoopReplica : public Replica {
 public:
  // Told each averaged gradient before it is applied, on no clock.
  using Observer = std::function<void(int64_t step, absl::Span<const BucketGradient> average)>;

  // Before the first update. Absent: nobody asks.
  void Observe(Observer observer) { observer_ = std::move(observer); }

  absl::Status Apply(int64_t step, absl::Span<const BucketGradient> average) final {
    return ApplyAfter(step * global_batch_, step, average);
  }

  // Brings weights that were changed on the host to where the kernels work, before these are called
  // for anything that reads them. The host does not wait.
  virtual absl::Status ToKernels() { return absl::OkStatus(); }

  // Bytes of what the update rule keeps beside the weights.
  virtual int64_t state_bytes() const = 0;

 protected:
  // `global_batch`: samples of all workers' batches of a step.
  explicit LoopReplica(int64_t global_batch) : global_batch_(global_batch) {}

  void Tell(int64_t step, absl::Span<const BucketGradient> average) const {
    if (observer_) observer_(step, average);
  }

 private:
  const int64_t global_batch_;
  Observer observer_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_LOOP_LOOP_REPLICA_H_
