#ifndef RINGMASTER_WORKER_STRATEGY_ALL_REDUCE_EXECUTOR_SUM_H_
#define RINGMASTER_WORKER_STRATEGY_ALL_REDUCE_EXECUTOR_SUM_H_

#include <memory>

#include "absl/status/statusor.h"
#include "worker/strategy/all_reduce/gradient_sum.h"
#include "worker/strategy/strategy.h"

namespace ringmaster {

// Sums by our own collectives over link.transport, encoded where the spec has a codec.
absl::StatusOr<std::unique_ptr<GradientSum>> CreateExecutorSum(const WorkerLink& link);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_STRATEGY_ALL_REDUCE_EXECUTOR_SUM_H_
