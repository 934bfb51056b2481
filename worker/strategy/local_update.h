#ifndef RINGMASTER_WORKER_STRATEGY_LOCAL_UPDATE_H_
#define RINGMASTER_WORKER_STRATEGY_LOCAL_UPDATE_H_

#include <vector>

#include "absl/types/span.h"
#include "worker/strategy/strategy.h"

namespace ringmaster {

// The update of strategies whose workers hold the weights: remembers a step's bucket gradients and applies them, in
// bucket order, to the front weights. The step thread's.
class LocalUpdate {
 public:
  explicit LocalUpdate(const WorkerLink& link) : link_(link), gradients_(link.layout->buckets().size()) {}

  void Remember(const Bucket& bucket, absl::Span<const float> gradient) { gradients_[bucket.id] = gradient; }

  // Clips by the norm over all buckets, where the rule clips. Counts as the phase "update".
  void Apply(int64_t step);

 private:
  const WorkerLink link_;
  std::vector<absl::Span<const float>> gradients_;  // by bucket
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_STRATEGY_LOCAL_UPDATE_H_
