#ifndef RINGMASTER_COMMON_COLLECTIVE_HALVES_H_
#define RINGMASTER_COMMON_COLLECTIVE_HALVES_H_

#include <memory>

#include "common/collective/schedule.h"

namespace ringmaster {

// The two halves of an all-reduce, each on its own: the rounds of "direct".

// Rank r ends with the sum of chunk r, added in rank order; its other chunks are as before. It
// sends S - chunk(r) bytes.
std::unique_ptr<Schedule> CreateReduceScatter();

// Every rank ends with chunk r as rank r has it. Rank r sends (N-1) * chunk(r) bytes.
std::unique_ptr<Schedule> CreateAllGather();

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_COLLECTIVE_HALVES_H_
