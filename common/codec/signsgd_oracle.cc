#include "common/codec/signsgd_oracle.h"

#include <cmath>

#include "absl/strings/str_cat.h"

namespace ringmaster {
namespace {

// A bit for every element, and one that says whether all of them are finite.
EncodedSize Size(const CodecSpec& spec, int64_t count) {
  if (count == 0) return {};
  return {(count + 1 + 7) / 8, 0};
}

absl::Status CheckBound(const CodecSpec& spec, absl::Span<const float> in,
                        absl::Span<const float> out, int64_t encoded_bytes) {
  for (size_t i = 0; i < in.size(); ++i) {
    if (out[i] == std::copysign(1.0f, in[i])) continue;
    return absl::FailedPreconditionError(absl::StrCat(
        "element ", i, " goes in as ", in[i], " and comes out as ", out[i], ", not its sign"));
  }
  return absl::OkStatus();
}

// x - 1 and + 1 both round.
bool RestoresBits(const CodecSpec& spec, float x) { return false; }

absl::Status CheckDefinition(const CodecSpec& spec, absl::Span<const float> in,
                             absl::Span<const float> decoded, int64_t kept) {
  for (size_t i = 0; i < in.size(); ++i) {
    if (decoded[i] != (in[i] < 0 ? -1.0f : 1.0f))
      return DecodedWrong("signsgd", i, in[i], decoded[i], "its sign");
  }
  return absl::OkStatus();
}

}  // namespace

constexpr CodecOracle kSignsgdOracle = {Size, nullptr, CheckBound, RestoresBits, CheckDefinition};

}  // namespace ringmaster
