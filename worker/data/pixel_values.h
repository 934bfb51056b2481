#ifndef RINGMASTER_WORKER_DATA_PIXEL_VALUES_H_
#define RINGMASTER_WORKER_DATA_PIXEL_VALUES_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace ringmaster {

class DataSpec;

// Of one channel's pixels, as shares of the brightest.
struct PixelStatistics {
  float mean = 0;
  float deviation = 1;
};

// Statistics of bytes that come piece by piece; exact sums. One thread at a time.
class PixelSums {
 public:
  void Add(absl::Span<const unsigned char> pixels);

  // Mean and deviation (of the whole, not of a sample) of all pixels added, both rounded to four
  // significant digits: so MNIST's, CIFAR-10's and Fashion-MNIST's are the figures that the field
  // uses. A deviation of 0 becomes 1. REQUIRES: at least one pixel.
  PixelStatistics Statistics() const;

 private:
  uint64_t count_ = 0;
  uint64_t sum_ = 0;
  uint64_t squares_ = 0;
};

// The statistics that the spec gives, by channel; none: the data's own are to be used.
std::vector<PixelStatistics> GivenStatistics(const DataSpec& spec);

// [channels][256]: what each byte of a channel means, (x / 255 - mean) / deviation. For
// Samples::pixel_values.
std::vector<float> PixelValues(absl::Span<const PixelStatistics> channels);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_DATA_PIXEL_VALUES_H_
