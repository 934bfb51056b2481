#include "common/codec/twobit_oracle.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/codec/codec_fields.h"

namespace ringmaster {
namespace {

EncodedSize Size(const CodecSpec& spec, int64_t count) { return {(count + 3) / 4, 0}; }

float ExpectedOf(float threshold, float in) {
  if (!(std::fabs(in) >= threshold)) return 0;
  return in > 0 ? threshold : -threshold;
}

absl::Status CheckBound(const CodecSpec& spec, absl::Span<const float> in,
                        absl::Span<const float> out, int64_t encoded_bytes) {
  const auto threshold = static_cast<float>(codec_fields::Get_threshold(spec));
  for (size_t i = 0; i < in.size(); ++i) {
    if (out[i] == ExpectedOf(threshold, in[i])) continue;
    return absl::FailedPreconditionError(absl::StrCat("element ", i, " = ", in[i], " comes out as ",
                                                      out[i], " at a threshold of ", threshold));
  }
  return absl::OkStatus();
}

// x - t and + t both round.
bool RestoresBits(const CodecSpec& spec, float x) { return false; }

absl::Status CheckDefinition(const CodecSpec& spec, absl::Span<const float> in,
                             absl::Span<const float> decoded, int64_t kept) {
  const auto threshold = static_cast<float>(codec_fields::Get_threshold(spec));
  for (size_t i = 0; i < in.size(); ++i) {
    const float expected = ExpectedOf(threshold, in[i]);
    if (decoded[i] != expected)
      return DecodedWrong("twobit", i, in[i], decoded[i], absl::StrCat(expected));
  }
  return absl::OkStatus();
}

}  // namespace

constexpr CodecOracle kTwobitOracle = {Size, nullptr, CheckBound, RestoresBits, CheckDefinition};

}  // namespace ringmaster
