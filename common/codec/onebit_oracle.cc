#include "common/codec/onebit_oracle.h"

#include <cmath>

#include "absl/strings/str_cat.h"

namespace ringmaster {
namespace {

EncodedSize Size(const CodecSpec& spec, int64_t count) {
  if (count == 0) return {};
  return {(count + 7) / 8 + 4, 0};
}

absl::Status CheckBound(const CodecSpec& spec, absl::Span<const float> in,
                        absl::Span<const float> out, int64_t encoded_bytes) {
  double l1 = 0;
  for (size_t i = 0; i < in.size(); ++i) {
    l1 += std::fabs(static_cast<double>(in[i]));
    if (std::signbit(in[i]) == std::signbit(out[i])) continue;
    return absl::FailedPreconditionError(absl::StrCat(
        "element ", i, " goes in as ", in[i], " and comes out as ", out[i], ", of the other sign"));
  }
  if (in.empty()) return absl::OkStatus();
  const double count = static_cast<double>(in.size());
  const double expected = Energy(in) - l1 * l1 / count;
  const double residual = ResidualEnergy(in, out);
  // The scale is rounded to float, by 2^-24 of it or the half of a denormal's place; the energy is
  // at its least there, so the rounding enters squared.
  const double bound = kEnergyError * Energy(in) + count * 0x1p-298;
  if (std::fabs(residual - expected) <= bound) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("the residual has energy ", residual, ", expected |x|^2 - l1^2/d = ", expected));
}

// x - scale and + scale both round.
bool RestoresBits(const CodecSpec& spec, float x) { return false; }

absl::Status CheckDefinition(const CodecSpec& spec, absl::Span<const float> in,
                             absl::Span<const float> decoded, int64_t kept) {
  long double sum = 0;
  for (const float value : in) sum += std::fabs(value);
  const double mean = static_cast<double>(sum / static_cast<long double>(in.size()));
  const float scale = std::fabs(decoded[0]);
  // The scale is rounded to float once; the sum in double is off by far less.
  if (std::fabs(scale - mean) > 0x1p-23 * mean) {
    return DecodedWrong("onebit", 0, in[0], decoded[0], absl::StrCat("+-", mean));
  }
  for (size_t i = 0; i < in.size(); ++i) {
    const float expected = std::copysign(scale, in[i]);
    if (decoded[i] != expected)
      return DecodedWrong("onebit", i, in[i], decoded[i], absl::StrCat(expected));
  }
  return absl::OkStatus();
}

}  // namespace

constexpr CodecOracle kOnebitOracle = {Size, nullptr, CheckBound, RestoresBits, CheckDefinition};

}  // namespace ringmaster
