#ifndef RINGMASTER_COMMON_COLLECTIVE_RING_H_
#define RINGMASTER_COMMON_COLLECTIVE_RING_H_

#include <memory>

#include "common/collective/schedule.h"

namespace ringmaster {

// Reduce-scatter, then all-gather, each in N-1 rounds; every rank sends to rank + 1 and receives
// from rank - 1 only. Rank r sends every chunk twice but for chunk r+1 (which it ends up summing)
// and chunk r+2 (which it receives last): 2S - chunk(r+1) - chunk(r+2) bytes of a bucket of S.
// Source: Patarasuk and Yuan 2009.
std::unique_ptr<Schedule> CreateRing();

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_COLLECTIVE_RING_H_
