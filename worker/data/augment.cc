#include "worker/data/augment.h"

#include <algorithm>

#include "common/base/random.h"
#include "proto/data_spec.pb.h"

namespace ringmaster {

bool Augments(const AugmentSpec& spec) {
  return spec.crop_padding() > 0 || spec.flip() || spec.noise() > 0;
}

void AugmentImage(const AugmentSpec& spec, const SampleShape& shape, uint64_t seed,
                  const float* from, float* to) {
  Random random(seed);
  const int32_t padding = spec.crop_padding();
  // Where the window lies in the image; negative: it begins in the border.
  const int32_t top = static_cast<int32_t>(random.Below(2 * padding + 1)) - padding;
  const int32_t left = static_cast<int32_t>(random.Below(2 * padding + 1)) - padding;
  const bool flip = spec.flip() && random.Below(2) == 1;
  float* out = to;
  for (int32_t channel = 0; channel < shape.channels; ++channel) {
    const float* image = from + int64_t{channel} * shape.height * shape.width;
    for (int32_t y = top; y < top + shape.height; ++y) {
      for (int32_t column = 0; column < shape.width; ++column) {
        const int32_t x = left + (flip ? shape.width - 1 - column : column);
        const bool inside = y >= 0 && y < shape.height && x >= 0 && x < shape.width;
        *out++ = inside ? image[int64_t{y} * shape.width + x] : 0.0f;
      }
    }
  }
  if (!(spec.noise() > 0)) return;
  const float noise = spec.noise();
  std::transform(to, out, to, [&](float value) { return value + noise * random.Normal(); });
}

}  // namespace ringmaster
