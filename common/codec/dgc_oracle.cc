#include "common/codec/dgc_oracle.h"

#include <algorithm>

#include "common/codec/topk_oracle.h"
#include "proto/codec_spec.pb.h"

namespace ringmaster {
namespace {

// The share that is sent in a step: a quarter of the ramp at each of four shares.
double DensityAt(const CodecSpec& spec, int64_t step) {
  const int64_t ramp = spec.dgc().ramp_steps();
  double share = 0;
  if (4 * step < ramp) {
    share = 0.25;
  } else if (2 * step < ramp) {
    share = 0.0625;
  } else if (4 * step < 3 * ramp) {
    share = 0.015625;
  } else if (step < ramp) {
    share = 0.004;
  }
  return std::max(share, spec.density());
}

EncodedSize SizeAt(const CodecSpec& spec, int64_t step, int64_t count) {
  if (count == 0) return {};
  const int64_t pairs = SharePairs(DensityAt(spec, step), count);
  return {8 * pairs, 4 * pairs};
}

// The most: that of the first step.
EncodedSize Size(const CodecSpec& spec, int64_t count) { return SizeAt(spec, 0, count); }

absl::Status CheckBound(const CodecSpec& spec, absl::Span<const float> in,
                        absl::Span<const float> out, int64_t encoded_bytes) {
  return CheckLargestKept(in, out, static_cast<size_t>(encoded_bytes) / 8);
}

bool RestoresBits(const CodecSpec& spec, float x) { return true; }

absl::Status CheckDefinition(const CodecSpec& spec, absl::Span<const float> in,
                             absl::Span<const float> decoded, int64_t kept) {
  return CheckLargestDefined("dgc", in, decoded, kept);
}

}  // namespace

constexpr CodecOracle kDgcOracle = {
    Size, nullptr, CheckBound, RestoresBits, CheckDefinition, /*variance_bound=*/nullptr, SizeAt};

}  // namespace ringmaster
