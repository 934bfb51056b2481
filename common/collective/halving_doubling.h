#ifndef RINGMASTER_COMMON_COLLECTIVE_HALVING_DOUBLING_H_
#define RINGMASTER_COMMON_COLLECTIVE_HALVING_DOUBLING_H_

#include <memory>

#include "common/collective/schedule.h"

namespace ringmaster {

// Recursive halving-doubling: about the ring's bytes in 2 log2 N rounds. Let M be the largest power
// of two up to N, and E = N - M. The first 2E ranks are pairs: rank 2i+1 sends all to rank 2i,
// which adds it and stands for both; that leaves M parties v (v = rank / 2 in the pairs, rank - E
// behind them). In round k party v exchanges with v ^ (M >> (k + 1)) the half of what it still
// holds that is the other's, and adds; at the end it has the whole sum of block v, where block v is
// the chunks Part(N, M, v). The same way back collects the blocks, and rank 2i sends all to rank
// 2i+1.
//
// Order of addition: within a pair first; then, for every element alike, at distances M/2 to 1:
// ((g0 + g4) + (g2 + g6)) + ((g1 + g5) + (g3 + g7)). So the bits do not depend on where chunks
// begin. Party v sends S - block(v) + (the sum over j of the bytes of the 2^j aligned blocks around
// v, 2^j < M), and S more in a pair; the other of the pair S. Source: Thakur, Rabenseifner and
// Gropp 2005, sections 4.2 and 4.5.
std::unique_ptr<Schedule> CreateHalvingDoubling();

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_COLLECTIVE_HALVING_DOUBLING_H_
