#include "common/codec/half_counts.h"

#include <algorithm>
#include <cstring>

#include "common/base/check.h"

namespace ringmaster {
namespace {

// So few that 16-bit counts do not overflow: as many vectors of them as of halves.
constexpr size_t kBlock = 4096;

}  // namespace

HalfTally CountHalves(absl::Span<const float> gradient, absl::Span<const std::byte> halves) {
  RM_CHECK(halves.size() == 2 * gradient.size());
  HalfTally tally;
  tally.elements = static_cast<int64_t>(gradient.size());
  for (size_t begin = 0; begin < gradient.size(); begin += kBlock) {
    const size_t count = std::min(kBlock, gradient.size() - begin);
    uint16_t block[kBlock];
    std::memcpy(block, halves.data() + 2 * begin, 2 * count);
    const float* const from = gradient.data() + begin;
    uint16_t is_zero[kBlock];
    for (size_t i = 0; i < count; ++i) is_zero[i] = static_cast<uint16_t>(from[i] == 0);
    uint16_t zeros = 0, subnormals = 0, saturated = 0, infinities = 0;
    for (size_t i = 0; i < count; ++i) {
      const uint16_t magnitude = block[i] & 0x7FFF;
      const uint16_t below = magnitude - 1;  // the largest where the magnitude is 0
      zeros += static_cast<uint16_t>((magnitude == 0) & (is_zero[i] == 0));
      subnormals += static_cast<uint16_t>(below < 0x3FF);
      saturated += static_cast<uint16_t>(magnitude == 0x7BFF);
      infinities += static_cast<uint16_t>(magnitude >= 0x7C00);
    }
    tally.zeros += zeros;
    tally.subnormals += subnormals;
    tally.saturated += saturated;
    tally.infinities += infinities;
  }
  return tally;
}

}  // namespace ringmaster
