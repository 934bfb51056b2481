#ifndef RINGMASTER_WORKER_STRATEGY_ALL_REDUCE_DELAYED_STRATEGY_H_
#define RINGMASTER_WORKER_STRATEGY_ALL_REDUCE_DELAYED_STRATEGY_H_

#include <memory>

#include "absl/status/statusor.h"
#include "worker/strategy/strategy.h"

namespace ringmaster {

// An all-reduce by our own collectives, codecs included, whose sum of step t is applied at the end
// of step t+1: the sum has the computing of that step for its way, and the step thread waits only
// for what is not over by then. Step t+1 computes with weights that lack the update of step t.
// Every worker applies the same updates after the same steps, so replicas stay equal bit for bit.
// Drain applies the last sum. Source: Pipe-SGD, Li et al. 2018, section 3, with a width of 2.
absl::StatusOr<std::unique_ptr<SyncStrategy>> CreateDelayedStrategy(const WorkerLink& link);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_STRATEGY_ALL_REDUCE_DELAYED_STRATEGY_H_
