#ifndef RINGMASTER_WORKER_STRATEGY_ALL_REDUCE_ALL_REDUCE_STRATEGY_H_
#define RINGMASTER_WORKER_STRATEGY_ALL_REDUCE_ALL_REDUCE_STRATEGY_H_

#include <memory>

#include "absl/status/statusor.h"
#include "worker/strategy/strategy.h"

namespace ringmaster {

// Every worker holds the weights; each bucket's gradient is summed over all workers during backward
// by the collective the spec names ("auto": for each bucket the one that its size and N choose),
// and every worker applies the same update. A bucket's collective starts when the bucket is ready,
// whatever is still in flight; the step ends with the last. With a codec that is summable on the
// wire the collective adds encoded elements; with any other, encoded gradients are gathered by all
// and decoded and added in rank order by everyone, the encoder included, so that replicas stay
// equal bit for bit. A codec that sums in rounds is summed in rounds. Where the collective is
// another library's (common/engine), that library sums one bucket after the other.
//
// Where the scheme has a delay of one step (SchemeTraits::delay) the sum of step t is applied at
// the end of step t+1: it has the computing of that step for its way, and the step thread waits
// only for what is not over by then. Step t+1 computes with weights that lack the update of step t.
// Every worker applies the same updates after the same steps. Drain applies the last sum. Source:
// Pipe-SGD, Li et al. 2018, section 3, with a width of 2.
absl::StatusOr<std::unique_ptr<SyncStrategy>> CreateAllReduceStrategy(const WorkerLink& link);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_STRATEGY_ALL_REDUCE_ALL_REDUCE_STRATEGY_H_
