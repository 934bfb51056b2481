#include "common/codec/fp16_oracle.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/codec/codec_fields.h"

namespace ringmaster {
namespace {

constexpr double kHalfLargest = 65504;
constexpr double kHalfSmallestNormal = 0x1p-14;

EncodedSize Size(const CodecSpec& spec, int64_t count) {
  return {2 * count + (codec_fields::Get_auto_scale(spec) != 0 ? 4 : 0), 0};
}

int64_t SummedElementBytes(const CodecSpec& spec) {
  return codec_fields::Get_auto_scale(spec) != 0 ? 0 : 2;
}

// What elements are multiplied by on the wire, and the largest half that is sent.
struct Scaling {
  double scale = 1;
  double most = kHalfLargest;
};
Scaling ScalingOf(const CodecSpec& spec, absl::Span<const float> in) {
  if (codec_fields::Get_auto_scale(spec) == 0) return {};
  double largest = 0;
  for (const float value : in) largest = std::max(largest, std::fabs(static_cast<double>(value)));
  if (largest == 0) return {};
  return {std::ldexp(1.0, std::min(126, 14 - std::ilogb(largest))), 32752};
}

absl::Status CheckBound(const CodecSpec& spec, absl::Span<const float> in,
                        absl::Span<const float> out, int64_t encoded_bytes) {
  const Scaling by = ScalingOf(spec, in);
  for (size_t i = 0; i < in.size(); ++i) {
    const double magnitude = std::fabs(in[i]);
    const double error = std::fabs(static_cast<double>(in[i]) - out[i]);
    double bound = magnitude * by.scale >= kHalfSmallestNormal ? 0x1p-11 * magnitude
                                                               : 0x1p-25 / by.scale + 0x1p-150;
    if (magnitude * by.scale > by.most) bound = magnitude - by.most / by.scale;
    if (error <= bound) continue;
    return absl::FailedPreconditionError(absl::StrCat("element ", i, " goes in as ", in[i],
                                                      " and comes out as ", out[i], ", more than ",
                                                      bound, " away"));
  }
  return absl::OkStatus();
}

bool RestoresBits(const CodecSpec& spec, float x) { return std::fabs(x) <= kHalfLargest; }

// The nearest half, ties to even; beyond the range the largest of its sign.
double NearestHalf(double value, double most) {
  const int exponent = value == 0 ? -14 : std::max(-14, std::ilogb(value));
  const double unit = std::ldexp(1.0, exponent - 10);
  return std::clamp(std::nearbyint(value / unit) * unit, -most, most);
}

absl::Status CheckDefinition(const CodecSpec& spec, absl::Span<const float> in,
                             absl::Span<const float> decoded, int64_t kept) {
  const Scaling by = ScalingOf(spec, in);
  for (size_t i = 0; i < in.size(); ++i) {
    const double expected = static_cast<float>(NearestHalf(in[i] * by.scale, by.most) / by.scale);
    if (decoded[i] != expected)
      return DecodedWrong("fp16", i, in[i], decoded[i], absl::StrCat(expected));
  }
  return absl::OkStatus();
}

}  // namespace

constexpr CodecOracle kFp16Oracle = {Size, SummedElementBytes, CheckBound, RestoresBits,
                                     CheckDefinition};

}  // namespace ringmaster
