#ifndef RINGMASTER_COMMON_COLLECTIVE_REDUCE_BROADCAST_H_
#define RINGMASTER_COMMON_COLLECTIVE_REDUCE_BROADCAST_H_

#include <memory>

#include "common/collective/schedule.h"

namespace ringmaster {

// Everybody sends the whole bucket to rank 0, which sums in rank order and sends the sum to
// everybody: the central server built from a collective, and how data parallelism is often
// mis-described. A worker sends S bytes of a bucket of S, the root (N-1) * S.
std::unique_ptr<Schedule> CreateReduceBroadcast();

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_COLLECTIVE_REDUCE_BROADCAST_H_
