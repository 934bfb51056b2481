#ifndef RINGMASTER_WORKER_STRATEGY_ALL_REDUCE_ENGINE_SUM_H_
#define RINGMASTER_WORKER_STRATEGY_ALL_REDUCE_ENGINE_SUM_H_

#include <memory>

#include "absl/status/statusor.h"
#include "worker/strategy/all_reduce/gradient_sum.h"
#include "worker/strategy/strategy.h"

namespace ringmaster {

// Sums by the collective library that the spec names (common/engine), one bucket after the other in
// the order of backward. The ranks meet over link.transport, which carries nothing else; when it is
// aborted, so is the library. Errors as CreateEngine. Waits for the other ranks.
absl::StatusOr<std::unique_ptr<GradientSum>> CreateEngineSum(const WorkerLink& link);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_STRATEGY_ALL_REDUCE_ENGINE_SUM_H_
