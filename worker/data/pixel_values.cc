#include "worker/data/pixel_values.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "common/base/check.h"
#include "proto/data_spec.pb.h"

namespace ringmaster {
namespace {

// So many squares of bytes fit 32 bits, in which a processor adds eight at once.
constexpr size_t kPiece = 1 << 16;

float FourDigits(double value) {
  float rounded = 0;
  RM_CHECK(absl::SimpleAtof(absl::StrFormat("%.4g", value), &rounded));
  return rounded;
}

}  // namespace

void PixelSums::Add(absl::Span<const unsigned char> pixels) {
  for (size_t begin = 0; begin < pixels.size(); begin += kPiece) {
    uint32_t sum = 0, squares = 0;
    for (const unsigned char pixel : pixels.subspan(begin, kPiece)) {
      sum += pixel;
      squares += uint32_t{pixel} * pixel;
    }
    sum_ += sum;
    squares_ += squares;
  }
  count_ += pixels.size();
}

PixelStatistics PixelSums::Statistics() const {
  RM_CHECK(count_ > 0);
  const double count = static_cast<double>(count_);
  const double mean = static_cast<double>(sum_) / count;
  // Exact up to here: 0 where all pixels are equal, and never below.
  const unsigned __int128 spread = static_cast<unsigned __int128>(count_) * squares_ -
                                   static_cast<unsigned __int128>(sum_) * sum_;
  const double deviation = std::sqrt(static_cast<double>(spread)) / count;
  return {FourDigits(mean / 255), spread > 0 ? FourDigits(deviation / 255) : 1.0f};
}

std::vector<PixelStatistics> GivenStatistics(const DataSpec& spec) {
  std::vector<PixelStatistics> given;
  for (int i = 0; i < std::min(spec.mean_size(), spec.deviation_size()); ++i)
    given.push_back({spec.mean(i), spec.deviation(i)});
  return given;
}

std::vector<float> PixelValues(absl::Span<const PixelStatistics> channels) {
  std::vector<float> values;
  for (const PixelStatistics& channel : channels) {
    for (int x = 0; x < 256; ++x) {
      values.push_back((static_cast<float>(x) / 255.0f - channel.mean) / channel.deviation);
    }
  }
  return values;
}

}  // namespace ringmaster
