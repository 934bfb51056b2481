#include "common/codec/bf16_oracle.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"

namespace ringmaster {
namespace {

constexpr double kLargest = 0x1.FEp127;

EncodedSize Size(const CodecSpec& spec, int64_t count) { return {2 * count, 0}; }

int64_t SummedElementBytes(const CodecSpec& spec) { return 2; }

absl::Status CheckBound(const CodecSpec& spec, absl::Span<const float> in,
                        absl::Span<const float> out, int64_t encoded_bytes) {
  for (size_t i = 0; i < in.size(); ++i) {
    const double magnitude = std::fabs(in[i]);
    const double error = std::fabs(static_cast<double>(in[i]) - out[i]);
    double bound = magnitude >= 0x1p-126 ? 0x1p-8 * magnitude : 0x1p-134;
    if (magnitude > kLargest) bound = magnitude - kLargest;
    if (error <= bound) continue;
    return absl::FailedPreconditionError(absl::StrCat("element ", i, " goes in as ", in[i],
                                                      " and comes out as ", out[i], ", more than ",
                                                      bound, " away"));
  }
  return absl::OkStatus();
}

bool RestoresBits(const CodecSpec& spec, float x) { return true; }

// The nearest bfloat16, ties to even; beyond the range the largest of its sign.
double Nearest(double value) {
  const int exponent = value == 0 ? -126 : std::max(-126, std::ilogb(value));
  const double unit = std::ldexp(1.0, exponent - 7);
  return std::clamp(std::nearbyint(value / unit) * unit, -kLargest, kLargest);
}

absl::Status CheckDefinition(const CodecSpec& spec, absl::Span<const float> in,
                             absl::Span<const float> decoded, int64_t kept) {
  for (size_t i = 0; i < in.size(); ++i) {
    const double expected = Nearest(in[i]);
    if (decoded[i] != expected)
      return DecodedWrong("bf16", i, in[i], decoded[i], absl::StrCat(expected));
  }
  return absl::OkStatus();
}

}  // namespace

constexpr CodecOracle kBf16Oracle = {Size, SummedElementBytes, CheckBound, RestoresBits,
                                     CheckDefinition};

}  // namespace ringmaster
