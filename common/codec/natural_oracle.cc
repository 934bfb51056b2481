#include "common/codec/natural_oracle.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"

namespace ringmaster {
namespace {

EncodedSize Size(const CodecSpec& spec, int64_t count) { return {count + (count + 7) / 8, 0}; }

// Whether `decoded` is one of the two powers of two beside x: 0 and 2^-126 below that, 2^127 alone
// from there on.
bool IsBeside(double x, double decoded) {
  const double magnitude = std::fabs(x);
  if (std::signbit(x) != std::signbit(decoded)) return false;
  const double below = magnitude < 0x1p-126 ? 0 : std::ldexp(1.0, std::ilogb(magnitude));
  double above = below == 0 ? 0x1p-126 : std::min(2 * below, 0x1p127);
  if (magnitude == below) above = below;
  return std::fabs(decoded) == below || std::fabs(decoded) == above;
}

absl::Status CheckBound(const CodecSpec& spec, absl::Span<const float> in,
                        absl::Span<const float> out, int64_t encoded_bytes) {
  for (size_t i = 0; i < in.size(); ++i) {
    if (IsBeside(in[i], out[i])) continue;
    return absl::FailedPreconditionError(absl::StrCat("element ", i, " goes in as ", in[i],
                                                      " and comes out as ", out[i],
                                                      ", which is no power of two beside it"));
  }
  return absl::OkStatus();
}

bool RestoresBits(const CodecSpec& spec, float x) { return true; }

absl::Status CheckDefinition(const CodecSpec& spec, absl::Span<const float> in,
                             absl::Span<const float> decoded, int64_t kept) {
  for (size_t i = 0; i < in.size(); ++i) {
    if (!IsBeside(in[i], decoded[i]))
      return DecodedWrong("natural", i, in[i], decoded[i], "a power of two beside it");
  }
  return absl::OkStatus();
}

double VarianceBound(const CodecSpec& spec, absl::Span<const float> in) { return Energy(in) / 8; }

}  // namespace

constexpr CodecOracle kNaturalOracle = {Size,         nullptr,         CheckBound,
                                        RestoresBits, CheckDefinition, VarianceBound};

}  // namespace ringmaster
