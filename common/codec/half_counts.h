#ifndef RINGMASTER_COMMON_CODEC_HALF_COUNTS_H_
#define RINGMASTER_COMMON_CODEC_HALF_COUNTS_H_

#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"

namespace ringmaster {

// Where halves (fp16) lose more of a gradient than a rounding.
struct HalfTally {
  int64_t elements = 0;
  int64_t zeros = 0;       // of gradients that are not 0
  int64_t subnormals = 0;  // below 2^-14: fewer than 11 significant bits
  int64_t saturated = 0;   // +-65504, the largest
  int64_t infinities = 0;  // or NaNs: of a gradient that was not finite

  void Add(const HalfTally& other) {
    elements += other.elements;
    zeros += other.zeros;
    subnormals += other.subnormals;
    saturated += other.saturated;
    infinities += other.infinities;
  }
};

// Counting reads everything once more, so it is done in every so many steps, from step 0 on: what
// is said of a run are shares.
inline constexpr int64_t kStepsForEachHalfCount = 32;

// The tally of one encoding. `halves`: gradient.size() of them, at any address. Pure, thread-safe.
HalfTally CountHalves(absl::Span<const float> gradient, absl::Span<const std::byte> halves);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_HALF_COUNTS_H_
