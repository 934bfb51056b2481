#include "common/codec/none_oracle.h"

#include <cstring>

#include "absl/strings/str_cat.h"

namespace ringmaster {
namespace {

EncodedSize Size(const CodecSpec& spec, int64_t count) { return {4 * count, 0}; }

int64_t SummedElementBytes(const CodecSpec& spec) { return 4; }

absl::Status CheckBound(const CodecSpec& spec, absl::Span<const float> in,
                        absl::Span<const float> out, int64_t encoded_bytes) {
  for (size_t i = 0; i < in.size(); ++i) {
    if (std::memcmp(&in[i], &out[i], sizeof(float)) != 0) {
      return absl::FailedPreconditionError(absl::StrCat("element ", i, " goes in as ", in[i],
                                                        " and comes out as ", out[i],
                                                        ", expected every bit"));
    }
  }
  return absl::OkStatus();
}

bool RestoresBits(const CodecSpec& spec, float x) { return true; }

absl::Status CheckDefinition(const CodecSpec& spec, absl::Span<const float> in,
                             absl::Span<const float> decoded, int64_t kept) {
  for (size_t i = 0; i < in.size(); ++i) {
    if (decoded[i] != in[i]) return DecodedWrong("none", i, in[i], decoded[i], "itself");
  }
  return absl::OkStatus();
}

}  // namespace

constexpr CodecOracle kNoneOracle = {Size, SummedElementBytes, CheckBound, RestoresBits,
                                     CheckDefinition};

}  // namespace ringmaster
