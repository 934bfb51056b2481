#ifndef RINGMASTER_WORKER_LOOP_LOOP_REPLICA_H_
#define RINGMASTER_WORKER_LOOP_LOOP_REPLICA_H_

#include <cstdint>
#include <functional>

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
  virtual void Observe(Observer observer) = 0;

  // Brings weights that were changed on the host to where the kernels work, before these are called
  // for anything that reads them. The host does not wait.
  virtual absl::Status ToKernels() = 0;

  // Bytes of what the update rule keeps beside the weights.
  virtual int64_t state_bytes() const = 0;
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_LOOP_LOOP_REPLICA_H_
