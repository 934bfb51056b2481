#ifndef RINGMASTER_WORKER_STRATEGY_WEIGHT_STRATEGY_H_
#define RINGMASTER_WORKER_STRATEGY_WEIGHT_STRATEGY_H_

#include <memory>

#include "absl/status/statusor.h"
#include "worker/strategy/strategy.h"
#include "worker/strategy/weight_rule.h"

namespace ringmaster {

// The shell of WeightRule on a transport: workers that update their own weights and exchange them
// with each other. What is exchanged in which step, and by what, the scheme's traits say: weights
// are sent ahead when a step begins, and their sum is waited for at its end; or they are summed
// once the step's update is in them. Buckets are summed several at once. In the first synchronous
// steps gradients are summed during backward. Where the model is an average, Drain and marks make
// it. Errors as CreateSchedule.
absl::StatusOr<std::unique_ptr<SyncStrategy>> CreateWeightStrategy(
    const WorkerLink& link, std::unique_ptr<WeightRule> rule);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_STRATEGY_WEIGHT_STRATEGY_H_
