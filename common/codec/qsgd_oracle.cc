#include "common/codec/qsgd_oracle.h"

#include <algorithm>
#include <cmath>

#include "common/codec/codec_fields.h"
#include "common/codec/level_oracle.h"

namespace ringmaster {
namespace {

LevelPromise PromiseOf(const CodecSpec& spec) {
  return {"qsgd", static_cast<int32_t>(codec_fields::Get_levels(spec)),
          static_cast<int32_t>(codec_fields::Get_block(spec)), LevelPromise::Rounding::kRandom,
          /*by_norm=*/codec_fields::Get_max_norm(spec) == 0};
}

double VarianceBound(const CodecSpec& spec, absl::Span<const float> in) {
  // Of each element at most a quarter of the squared unit.
  if (codec_fields::Get_max_norm(spec) != 0) return LevelQuarterVariance(PromiseOf(spec), in);
  const double levels = codec_fields::Get_levels(spec);
  double bound = 0;
  const size_t size = static_cast<size_t>(codec_fields::Get_block(spec));
  for (size_t begin = 0; begin < in.size(); begin += size) {
    const absl::Span<const float> block = in.subspan(begin, size);
    const double count = static_cast<double>(block.size());
    bound += std::min(count / (levels * levels), std::sqrt(count) / levels) * Energy(block);
  }
  return bound;
}

}  // namespace

constexpr CodecOracle kQsgdOracle = LevelOracle<PromiseOf>(VarianceBound);

}  // namespace ringmaster
