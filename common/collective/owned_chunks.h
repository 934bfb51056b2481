#ifndef RINGMASTER_COMMON_COLLECTIVE_OWNED_CHUNKS_H_
#define RINGMASTER_COMMON_COLLECTIVE_OWNED_CHUNKS_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "common/collective/schedule.h"

namespace ringmaster {

// A half of the ring (halves.h) for nodes that stand in another order than that of their ranks, in
// which who has which chunk goes by rank all the same: the node at place p, of rank
// `ranks_by_place`[p], ends or begins with chunk RingChunkOf(its rank). So what a rank has, and
// keeps, does not depend on the order. In the order of ranks it is `half` itself.
std::unique_ptr<Schedule> WithChunksByRank(std::unique_ptr<Schedule> half,
                                           std::vector<int32_t> ranks_by_place);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_COLLECTIVE_OWNED_CHUNKS_H_
