#ifndef RINGMASTER_COMMON_COLLECTIVE_GOSSIP_H_
#define RINGMASTER_COMMON_COLLECTIVE_GOSSIP_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "common/collective/schedule.h"

namespace ringmaster {

// Who averages with whom where nobody averages with all. Pure, thread-safe.
enum class GossipGraph {
  kRing,                // itself and both neighbours, a third each (Lian et al. 2017)
  kOnePeerExponential,  // itself and the rank 2^round before it, a half each (Assran et al. 2019,
                        // Ying et al. 2021)
};

// How many different averages follow each other before the first comes again: 1 for the ring,
// ceil(lg ranks) and at least 1 for the exponential graph. ranks >= 1.
int32_t GossipRounds(GossipGraph graph, int32_t ranks);

// Whose values `rank` averages in `round`: ascending, different, its own among them. All count the
// same, and every rank has as many, so the mixing matrix is doubly stochastic. In a ring of two
// both neighbours are one rank. REQUIRES: 0 <= rank < ranks, 0 <= round < GossipRounds.
std::vector<int32_t> GossipSources(GossipGraph graph, int32_t ranks, int32_t round, int32_t rank);

// The mixing matrix of a round, [ranks * ranks] by rows: row i has what rank i takes of whom. Rows
// and columns sum to 1.
std::vector<double> MixingMatrix(GossipGraph graph, int32_t ranks, int32_t round);

// What becomes of the values that a rank receives.
enum class GossipArrival {
  kAdded,  // the data become the sum of the rank's sources, in rank order, undivided
  // The data are a chunk for each source, all of one size: first the rank's own, which is sent, and
  // then those of the others, ascending, as they were sent. A source that is lost spoils nothing.
  kApart,
};

// One round as a schedule. It is no all-reduce: ranks end with different values.
std::unique_ptr<Schedule> CreateGossipSchedule(GossipGraph graph, int32_t round,
                                               GossipArrival arrival = GossipArrival::kAdded);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_COLLECTIVE_GOSSIP_H_
