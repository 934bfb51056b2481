#ifndef RINGMASTER_WORKER_STRATEGY_ELASTIC_ELASTIC_STRATEGY_H_
#define RINGMASTER_WORKER_STRATEGY_ELASTIC_ELASTIC_STRATEGY_H_

#include <memory>

#include "absl/status/statusor.h"
#include "worker/strategy/strategy.h"

namespace ringmaster {

// Synchronous: before every period-th step all workers' weights are summed by a collective while
// the step's gradients are computed, and with x_i and c as they were before the step
//   x_i += alpha (c - x_i), then the update by the gradient at the old x_i
//   c += N alpha (mean of all x_i - c)
// (Zhang et al. 2015, equations 5 and 6). Every worker holds c, the same bits, and c is the model.
// Drain moves nobody. The state of the worker's own optimizer stays with the worker.
absl::StatusOr<std::unique_ptr<SyncStrategy>> CreateElasticStrategy(const WorkerLink& link);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_STRATEGY_ELASTIC_ELASTIC_STRATEGY_H_
