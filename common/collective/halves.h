#ifndef RINGMASTER_COMMON_COLLECTIVE_HALVES_H_
#define RINGMASTER_COMMON_COLLECTIVE_HALVES_H_

#include <memory>

#include "common/collective/schedule.h"

namespace ringmaster {

// The two halves of an all-reduce, each on its own. The second keeps the numbers of its rounds, so
// messages of both halves of one step and bucket have names of their own.

// The rounds of "direct".

// Rank r ends with the sum of chunk r, added in rank order; its other chunks are as before. It
// sends S - chunk(r) bytes.
std::unique_ptr<Schedule> CreateReduceScatter();

// Every rank ends with chunk r as rank r has it. Rank r sends (N-1) * chunk(r) bytes.
std::unique_ptr<Schedule> CreateAllGather();

// The rounds of "ring".

// The chunk whose sum CreateRingReduceScatter leaves with `rank`: rank + 1, around the ring.
inline int32_t RingChunkOf(int32_t rank, int32_t ranks) { return (rank + 1) % ranks; }

// Rank r ends with the sum of chunk r+1, the ring's bits; of other chunks it has partial sums. It
// sends S - chunk(r+1) bytes. Source: Patarasuk and Yuan 2009.
std::unique_ptr<Schedule> CreateRingReduceScatter();

// Every rank ends with chunk r+1 as rank r has it. Rank r sends S - chunk(r+2) bytes.
std::unique_ptr<Schedule> CreateRingAllGather();

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_COLLECTIVE_HALVES_H_
