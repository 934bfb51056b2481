#ifndef RINGMASTER_COMMON_BASE_PARTITION_H_
#define RINGMASTER_COMMON_BASE_PARTITION_H_

#include <cstdint>

#include "common/base/check.h"

namespace ringmaster {

// A half-open range [begin, begin + count) of elements.
struct Range {
  int64_t begin = 0;
  int64_t count = 0;
  int64_t end() const { return begin + count; }
  friend bool operator==(const Range& a, const Range& b) {
    return a.begin == b.begin && a.count == b.count;
  }
};

inline int64_t CeilDiv(int64_t dividend, int64_t divisor) {
  RM_CHECK(divisor > 0 && dividend >= 0);
  return (dividend + divisor - 1) / divisor;
}

inline int64_t ExactDiv(int64_t dividend, int64_t divisor) {
  RM_CHECK(divisor > 0 && dividend % divisor == 0);
  return dividend / divisor;
}

// Part `index` of `parts` of `count` elements: contiguous, in order, sizes differing by at most
// one, the larger ones first. Chunks of a collective, parts of a bucket on servers and uneven data
// shards are all cut by this one rule.
inline Range Part(int64_t count, int32_t parts, int32_t index) {
  RM_CHECK(count >= 0 && parts > 0 && index >= 0 && index < parts);
  const int64_t base = count / parts;
  const int64_t larger = count % parts;
  const int64_t begin = index * base + (index < larger ? index : larger);
  return {begin, base + (index < larger ? 1 : 0)};
}

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_BASE_PARTITION_H_
