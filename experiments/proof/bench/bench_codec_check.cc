#include "experiments/proof/bench/bench_codec_check.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"

namespace ringmaster {
namespace {

absl::Status Wrong(const std::string& codec, size_t index, float in, float decoded, const std::string& expected) {
  return absl::DataLossError(
      absl::StrCat("codec \"", codec, "\": element ", index, " is ", in, " and decodes to ", decoded, ", expected ", expected));
}

// The nearest half, ties to even; beyond the range the largest of its sign.
double NearestHalf(double value) {
  const int exponent = value == 0 ? -14 : std::max(-14, std::ilogb(value));
  const double unit = std::ldexp(1.0, exponent - 10);
  return std::clamp(std::nearbyint(value / unit) * unit, -65504.0, 65504.0);
}

absl::Status CheckHalves(absl::Span<const float> in, absl::Span<const float> decoded) {
  for (size_t i = 0; i < in.size(); ++i) {
    const double expected = NearestHalf(in[i]);
    if (decoded[i] != expected) return Wrong("fp16", i, in[i], decoded[i], absl::StrCat(expected));
  }
  return absl::OkStatus();
}

absl::Status CheckSigns(absl::Span<const float> in, absl::Span<const float> decoded) {
  long double sum = 0;
  for (const float value : in) sum += std::fabs(value);
  const double mean = static_cast<double>(sum / static_cast<long double>(in.size()));
  const float scale = std::fabs(decoded[0]);
  // The scale is rounded to float once; the sum in double is off by far less.
  if (std::fabs(scale - mean) > 0x1p-23 * mean) return Wrong("onebit", 0, in[0], decoded[0], absl::StrCat("+-", mean));
  for (size_t i = 0; i < in.size(); ++i) {
    const float expected = std::copysign(scale, in[i]);
    if (decoded[i] != expected) return Wrong("onebit", i, in[i], decoded[i], absl::StrCat(expected));
  }
  return absl::OkStatus();
}

absl::Status CheckLargest(absl::Span<const float> in, absl::Span<const float> decoded, int64_t kept) {
  int64_t found = 0;
  float smallest = std::numeric_limits<float>::infinity();
  for (size_t i = 0; i < in.size(); ++i) {
    if (decoded[i] == 0) continue;
    if (decoded[i] != in[i]) return Wrong("topk", i, in[i], decoded[i], "itself or 0");
    ++found;
    smallest = std::min(smallest, std::fabs(in[i]));
  }
  if (found != kept) return absl::DataLossError(absl::StrCat("codec \"topk\": kept ", found, ", expected ", kept));
  bool dropped_tie = false;
  for (size_t i = 0; i < in.size(); ++i) {
    const float magnitude = std::fabs(in[i]);
    const bool is_kept = decoded[i] != 0;
    if (!is_kept && magnitude > smallest) return Wrong("topk", i, in[i], 0, "itself: it is above the smallest kept");
    if (magnitude != smallest) continue;
    if (is_kept && dropped_tie) return Wrong("topk", i, in[i], in[i], "0: of equal magnitudes the lower index is kept");
    dropped_tie = dropped_tie || !is_kept;
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckDecoded(const std::string& codec, absl::Span<const float> in, absl::Span<const float> decoded,
                          int64_t kept) {
  if (in.size() != decoded.size() || in.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("codec \"", codec, "\": ", decoded.size(), " floats decoded of ", in.size()));
  }
  if (codec == "fp16") return CheckHalves(in, decoded);
  if (codec == "onebit") return CheckSigns(in, decoded);
  if (codec == "topk") return CheckLargest(in, decoded, kept);
  if (codec != "none") {
    return absl::InvalidArgumentError(absl::StrCat("codec \"", codec, "\" has no definition to check its results by"));
  }
  for (size_t i = 0; i < in.size(); ++i) {
    if (decoded[i] != in[i]) return Wrong(codec, i, in[i], decoded[i], "itself");
  }
  return absl::OkStatus();
}

}  // namespace ringmaster
