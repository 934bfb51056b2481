#ifndef RINGMASTER_COMMON_COLLECTIVE_RECURSIVE_DOUBLING_H_
#define RINGMASTER_COMMON_COLLECTIVE_RECURSIVE_DOUBLING_H_

#include <memory>

#include "common/collective/schedule.h"

namespace ringmaster {

// The whole bucket both ways in every round: log2 N rounds, half of any other schedule's, for log2
// N times the bucket. Let M be the largest power of two up to N, and E = N - M. The first 2E ranks
// are pairs: rank 2i+1 sends all to rank 2i, which adds it and stands for both; that leaves M
// parties v (v = rank / 2 in the pairs, rank - E behind them). In round k + 1 party v sends all it
// has to v ^ 2^k and adds what it gets from there. At last rank 2i sends all to rank 2i+1.
//
// Order of addition: within a pair first; then, for every element alike, at distance 1, 2, 4, ...:
// ((g0 + g1) + (g2 + g3)) + ..., as "binomial_tree" for a power of two. Both ends of an exchange
// add the same two numbers, and addition of two commutes, so all ranks have the same bits. Party v
// sends S log2 M, and S more in a pair; the other of the pair S. Source: Thakur, Rabenseifner and
// Gropp 2005, section 4.3.
std::unique_ptr<Schedule> CreateRecursiveDoubling();

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_COLLECTIVE_RECURSIVE_DOUBLING_H_
