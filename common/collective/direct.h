#ifndef RINGMASTER_COMMON_COLLECTIVE_DIRECT_H_
#define RINGMASTER_COMMON_COLLECTIVE_DIRECT_H_

#include <memory>

#include "common/collective/schedule.h"

namespace ringmaster {

// Reduce-scatter, then all-gather, each in one round in which everybody talks to everybody: rank r
// sums chunk r, in rank order, and sends the sum to all. Two rounds whatever N, at the price of N-1
// messages at once into every rank. Rank r sends (S - chunk(r)) + (N-1) * chunk(r) bytes of a
// bucket of S: the pattern, and the bytes, of K = N co-located servers.
std::unique_ptr<Schedule> CreateDirect();

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_COLLECTIVE_DIRECT_H_
