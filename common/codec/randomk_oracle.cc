#include "common/codec/randomk_oracle.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "proto/codec_spec.pb.h"

namespace ringmaster {
namespace {

int64_t KeptOf(const CodecSpec& spec, int64_t count) {
  if (count == 0) return 0;
  // 0.07 * 100 is a little above 7 in double precision and is meant to be 7.
  const double kept = std::ceil(spec.density() * static_cast<double>(count) * (1 - 1e-9));
  return std::clamp<int64_t>(static_cast<int64_t>(kept), 1, count);
}

EncodedSize Size(const CodecSpec& spec, int64_t count) { return {4 * KeptOf(spec, count), 0}; }

int64_t SummedElementBytes(const CodecSpec& spec) { return 4; }

// Whether `out` is what a drawn `in` becomes.
bool IsSent(const CodecSpec& spec, int64_t count, float in, float out) {
  if (spec.error_feedback()) return out == in;
  const double exact =
      double{in} * static_cast<double>(count) / static_cast<double>(KeptOf(spec, count));
  const double largest = std::numeric_limits<float>::max();
  // The factor and the product are rounded to float.
  return std::fabs(double{out} - std::clamp(exact, -largest, largest)) <=
         0x1p-22 * std::fabs(exact) + 0x1p-149;
}

absl::Status CheckBound(const CodecSpec& spec, absl::Span<const float> in,
                        absl::Span<const float> out, int64_t encoded_bytes) {
  const auto count = static_cast<int64_t>(in.size());
  int64_t lost = 0;
  for (size_t i = 0; i < in.size(); ++i) {
    if (in[i] == 0 && out[i] == 0) continue;
    if (out[i] == 0) ++lost;
    if (out[i] == 0 || IsSent(spec, count, in[i], out[i])) continue;
    return absl::FailedPreconditionError(absl::StrCat("element ", i, " = ", in[i], " comes out as ",
                                                      out[i], " with ", KeptOf(spec, count), " of ",
                                                      count, " sent"));
  }
  if (lost <= count - KeptOf(spec, count)) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      lost, " of ", count, " elements are lost, expected ", count - KeptOf(spec, count)));
}

bool RestoresBits(const CodecSpec& spec, float x) { return false; }

absl::Status CheckDefinition(const CodecSpec& spec, absl::Span<const float> in,
                             absl::Span<const float> decoded, int64_t kept) {
  const auto count = static_cast<int64_t>(in.size());
  int64_t sent = 0;
  for (size_t i = 0; i < in.size(); ++i) {
    if (decoded[i] == 0) continue;
    ++sent;
    if (!IsSent(spec, count, in[i], decoded[i]))
      return DecodedWrong("randomk", i, in[i], decoded[i], "0, or itself times count / k");
  }
  if (sent == KeptOf(spec, count)) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat("codec \"randomk\": kept ", sent, ", expected ", KeptOf(spec, count)));
}

// Every element is drawn with probability k / d, and is then d / k times itself.
double VarianceBound(const CodecSpec& spec, absl::Span<const float> in) {
  if (in.empty()) return 0;
  const auto count = static_cast<int64_t>(in.size());
  return (static_cast<double>(count) / static_cast<double>(KeptOf(spec, count)) - 1) * Energy(in);
}

}  // namespace

constexpr CodecOracle kRandomkOracle = {Size,         SummedElementBytes, CheckBound,
                                        RestoresBits, CheckDefinition,    VarianceBound};

}  // namespace ringmaster
