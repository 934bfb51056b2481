#ifndef RINGMASTER_WORKER_STRATEGY_ALL_REDUCE_REDUCER_SUM_H_
#define RINGMASTER_WORKER_STRATEGY_ALL_REDUCE_REDUCER_SUM_H_

#include <memory>

#include "absl/status/statusor.h"
#include "worker/strategy/all_reduce/gradient_sum.h"
#include "worker/strategy/strategy.h"

namespace ringmaster {

// Sums by our own collectives over link.transport in the rounds that the spec's codec asks for
// (common/codec/reducer.h), several buckets at once. Every rank
// starts all sums in one order: the first round of each bucket as it comes, and the later rounds of
// bucket b, one after the other, between the first of buckets b + kReducedInFlightMax - 1 and
// b + kReducedInFlightMax, or after those of all buckets.
absl::StatusOr<std::unique_ptr<GradientSum>> CreateReducerSum(const WorkerLink& link);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_STRATEGY_ALL_REDUCE_REDUCER_SUM_H_
