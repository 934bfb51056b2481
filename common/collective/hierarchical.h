#ifndef RINGMASTER_COMMON_COLLECTIVE_HIERARCHICAL_H_
#define RINGMASTER_COMMON_COLLECTIVE_HIERARCHICAL_H_

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "common/collective/schedule.h"

namespace ringmaster {

// Ranks in groups of `group_size` neighbours, rank r at place r mod group_size of group
// r div group_size. First a reduce-scatter around a ring inside each group, then for each place a
// ring all-reduce across the groups, among the ranks of that place, of what the first has left with
// them, then an all-gather around the ring inside each group. A rank sends about 2S(N-1)/N, as in
// the ring, but a group sends about 2S(N/P - 1)/(N/P) of it to other groups, P its size: of one
// group nothing, and then it is the ring, bit for bit; and as many rounds cross groups as there are
// groups. Groups of one rank are the ring too.
//
// Order of addition: of a chunk, inside a group around its ring, then across the groups around
// theirs. `group_size` divides the ranks that StepsOf is asked for; 0: it is DefaultGroupSize.
// Source: Jia et al. 2018, "Highly scalable deep learning training system with mixed-precision",
// section 4.2.1, and the 2D torus of Mikami et al. 2018, section 2.2.
std::unique_ptr<Schedule> CreateHierarchical(int32_t group_size);

// The smallest divisor of `ranks` whose square is no less: inside and across there are about as
// many. For prime numbers it is one group.
int32_t DefaultGroupSize(int32_t ranks);

// InvalidArgument, where such groups do not divide the ranks: names those that do.
absl::Status CheckGroupSize(int32_t group_size, int32_t ranks);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_COLLECTIVE_HIERARCHICAL_H_
