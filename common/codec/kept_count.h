#ifndef RINGMASTER_COMMON_CODEC_KEPT_COUNT_H_
#define RINGMASTER_COMMON_CODEC_KEPT_COUNT_H_

#include <cstdint>

namespace ringmaster {

// How many of `count` elements a share of `density` is: rounded up, at least 1, at most count.
//   density: in (0, 1].   count: 0 or more.
// Pure, thread-safe.
int64_t KeptCount(double density, int64_t count);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_KEPT_COUNT_H_
