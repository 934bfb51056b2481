#include "common/codec/fp16_oracle.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"

namespace ringmaster {
namespace {

constexpr double kHalfLargest = 65504;
constexpr double kHalfSmallestNormal = 0x1p-14;

EncodedSize Size(const CodecSpec& spec, int64_t count) { return {2 * count, 0}; }

absl::Status CheckBound(absl::Span<const float> in, absl::Span<const float> out,
                        int64_t encoded_bytes) {
  for (size_t i = 0; i < in.size(); ++i) {
    const double magnitude = std::fabs(in[i]);
    const double error = std::fabs(static_cast<double>(in[i]) - out[i]);
    double bound = magnitude >= kHalfSmallestNormal ? 0x1p-11 * magnitude : 0x1p-25;
    if (magnitude > kHalfLargest) bound = magnitude - kHalfLargest;
    if (error <= bound) continue;
    return absl::FailedPreconditionError(absl::StrCat("element ", i, " goes in as ", in[i],
                                                      " and comes out as ", out[i], ", more than ",
                                                      bound, " away"));
  }
  return absl::OkStatus();
}

bool RestoresBits(float x) { return std::fabs(x) <= kHalfLargest; }

// The nearest half, ties to even; beyond the range the largest of its sign.
double NearestHalf(double value) {
  const int exponent = value == 0 ? -14 : std::max(-14, std::ilogb(value));
  const double unit = std::ldexp(1.0, exponent - 10);
  return std::clamp(std::nearbyint(value / unit) * unit, -kHalfLargest, kHalfLargest);
}

absl::Status CheckDefinition(absl::Span<const float> in, absl::Span<const float> decoded,
                             int64_t kept) {
  for (size_t i = 0; i < in.size(); ++i) {
    const double expected = NearestHalf(in[i]);
    if (decoded[i] != expected)
      return DecodedWrong("fp16", i, in[i], decoded[i], absl::StrCat(expected));
  }
  return absl::OkStatus();
}

}  // namespace

constexpr CodecOracle kFp16Oracle = {Size, 2, CheckBound, RestoresBits, CheckDefinition};

}  // namespace ringmaster
