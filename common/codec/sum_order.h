#ifndef RINGMASTER_COMMON_CODEC_SUM_ORDER_H_
#define RINGMASTER_COMMON_CODEC_SUM_ORDER_H_

#include <cstdint>

namespace ringmaster {

// The order in which the magnitudes of a gradient are added up in double precision, one that
// vectors of a processor and warps of a device both keep without waiting: within each block of
// kSumBlock elements, element i goes to lane i % kSumLanes; the blocks' lanes are added to the
// lanes of the total, block after block; and these are halved in number, the upper half added to
// the lower, until one is left.
inline constexpr int64_t kSumLanes = 32;
inline constexpr int64_t kSumBlock = 4096;
static_assert(kSumBlock % kSumLanes == 0);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_SUM_ORDER_H_
