#include "common/codec/terngrad_oracle.h"

#include <algorithm>
#include <cmath>

#include "common/codec/codec_fields.h"
#include "common/codec/level_oracle.h"

namespace ringmaster {
namespace {

LevelPromise PromiseOf(const CodecSpec& spec) {
  return {"terngrad", 1, static_cast<int32_t>(codec_fields::Get_block(spec)),
          LevelPromise::Rounding::kRandom, /*by_norm=*/false};
}

// Exact.
double VarianceBound(const CodecSpec& spec, absl::Span<const float> in) {
  double variance = 0;
  const size_t size = static_cast<size_t>(codec_fields::Get_block(spec));
  for (size_t begin = 0; begin < in.size(); begin += size) {
    double largest = 0, l1 = 0;
    const absl::Span<const float> block = in.subspan(begin, size);
    for (const float value : block) {
      largest = std::max(largest, std::fabs(static_cast<double>(value)));
      l1 += std::fabs(static_cast<double>(value));
    }
    variance += largest * l1 - Energy(block);
  }
  return variance;
}

}  // namespace

constexpr CodecOracle kTerngradOracle = LevelOracle<PromiseOf>(VarianceBound);

}  // namespace ringmaster
