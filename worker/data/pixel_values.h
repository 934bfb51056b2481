#ifndef RINGMASTER_WORKER_DATA_PIXEL_VALUES_H_
#define RINGMASTER_WORKER_DATA_PIXEL_VALUES_H_

#include <vector>

#include "absl/types/span.h"

namespace ringmaster {

// Of one channel's pixels, as shares of the brightest.
struct PixelStatistics {
  float mean = 0;
  float deviation = 1;
};

// [channels][256]: what each byte of a channel means, (x / 255 - mean) / deviation. For
// Samples::pixel_values.
inline std::vector<float> PixelValues(absl::Span<const PixelStatistics> channels) {
  std::vector<float> values;
  for (const PixelStatistics& channel : channels) {
    for (int x = 0; x < 256; ++x) {
      values.push_back((static_cast<float>(x) / 255.0f - channel.mean) / channel.deviation);
    }
  }
  return values;
}

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_DATA_PIXEL_VALUES_H_
