#ifndef RINGMASTER_COMMON_COLLECTIVE_BINOMIAL_TREE_H_
#define RINGMASTER_COMMON_COLLECTIVE_BINOMIAL_TREE_H_

#include <memory>

#include "common/collective/schedule.h"

namespace ringmaster {

// The whole bucket up a binomial tree to rank 0, which ends up with the sum, and down again:
// ceil(log2 N) rounds each way. In round k rank r, a multiple of 2^k, adds what rank r + 2^k has
// summed: ((g0 + g1) + (g2 + g3)) + ..., the same for every element. A rank with c children (ranks
// r + 2^k for 2^k below r's lowest set bit, and below N) sends (c + 1) * S bytes of a bucket of S,
// rank 0 c * S.
std::unique_ptr<Schedule> CreateBinomialTree();

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_COLLECTIVE_BINOMIAL_TREE_H_
