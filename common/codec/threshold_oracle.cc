#include "common/codec/threshold_oracle.h"

#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "common/codec/codec_fields.h"

namespace ringmaster {
namespace {

// The limits: all floats and how many of them are not 0; the most pairs that are fewer bytes.
EncodedSize Size(const CodecSpec& spec, int64_t count) {
  if (count == 0) return {};
  return {4 + 4 * count, 4 * ((count - 1) / 2)};
}

absl::Status CheckBound(const CodecSpec& spec, absl::Span<const float> in,
                        absl::Span<const float> out, int64_t encoded_bytes) {
  const auto threshold = static_cast<float>(codec_fields::Get_threshold(spec));
  int64_t kept = 0;
  for (size_t i = 0; i < in.size(); ++i) {
    const bool is_kept = std::fabs(in[i]) >= threshold;
    kept += is_kept ? 1 : 0;
    if (out[i] == (is_kept ? in[i] : 0.0f)) continue;
    return absl::FailedPreconditionError(absl::StrCat("element ", i, " = ", in[i], " comes out as ",
                                                      out[i], " at a threshold of ", threshold));
  }
  const auto count = static_cast<int64_t>(in.size());
  const int64_t expected = 4 + (2 * kept < count ? 8 * kept : 4 * count);
  if (encoded_bytes == expected) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(kept, " of ", count, " floats take ",
                                                    encoded_bytes, " bytes, expected ", expected));
}

bool RestoresBits(const CodecSpec& spec, float x) { return true; }

absl::Status CheckDefinition(const CodecSpec& spec, absl::Span<const float> in,
                             absl::Span<const float> decoded, int64_t kept) {
  const auto threshold = static_cast<float>(codec_fields::Get_threshold(spec));
  for (size_t i = 0; i < in.size(); ++i) {
    const float expected = std::fabs(in[i]) >= threshold ? in[i] : 0.0f;
    if (decoded[i] != expected)
      return DecodedWrong("threshold", i, in[i], decoded[i], absl::StrCat(expected));
  }
  return absl::OkStatus();
}

}  // namespace

constexpr CodecOracle kThresholdOracle = {Size, nullptr, CheckBound, RestoresBits, CheckDefinition};

}  // namespace ringmaster
