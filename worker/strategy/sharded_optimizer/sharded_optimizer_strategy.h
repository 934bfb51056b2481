#ifndef RINGMASTER_WORKER_STRATEGY_SHARDED_OPTIMIZER_SHARDED_OPTIMIZER_STRATEGY_H_
#define RINGMASTER_WORKER_STRATEGY_SHARDED_OPTIMIZER_SHARDED_OPTIMIZER_STRATEGY_H_

#include <memory>

#include "absl/status/statusor.h"
#include "worker/strategy/strategy.h"

namespace ringmaster {

// Every worker holds the weights and updates one chunk of every bucket. A bucket's reduce-scatter,
// the first half of the ring, starts when its gradient is ready, whatever is still in flight, and
// leaves the chunk's sum with its worker. When all buckets are summed the worker updates its
// chunks, and the second half of the ring brings all chunks of the weights to all workers, whose
// weights are then the same bits, and those of the whole ring. The sums are hidden behind backward;
// the weights' way is exposed. Source: ZeRO, stage 1, Rajbhandari et al. 2020, sections 5.1 and 7.
absl::StatusOr<std::unique_ptr<SyncStrategy>> CreateShardedOptimizerStrategy(
    const WorkerLink& link);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_STRATEGY_SHARDED_OPTIMIZER_SHARDED_OPTIMIZER_STRATEGY_H_
