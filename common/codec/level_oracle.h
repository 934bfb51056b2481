#ifndef RINGMASTER_COMMON_CODEC_LEVEL_ORACLE_H_
#define RINGMASTER_COMMON_CODEC_LEVEL_ORACLE_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "common/codec/oracle.h"

namespace ringmaster {

// For the oracles of codecs of whole numbers: in each block a float, the unit, is a share 1/levels
// of the block's largest magnitude or L2 norm, and every element becomes a multiple of it, of
// -levels to levels. Units below the smallest normal float make zeros.
struct LevelPromise {
  enum class Rounding {
    kNearest,
    kRandom
  };  // to the nearest multiple; to one of the two beside it

  const char* codec;
  int32_t levels;
  int32_t block;
  Rounding rounding;
  bool by_norm;
};

// The members of CodecOracle.
EncodedSize LevelSize(const LevelPromise& promise, int64_t count);
absl::Status CheckLevelBound(const LevelPromise& promise, absl::Span<const float> in,
                             absl::Span<const float> out);
absl::Status CheckLevelDefinition(const LevelPromise& promise, absl::Span<const float> in,
                                  absl::Span<const float> decoded);
// The sum of a quarter of the squared unit over all elements: no variance of rounding at random is
// larger.
double LevelQuarterVariance(const LevelPromise& promise, absl::Span<const float> in);

// The oracle of a codec that promises this of a spec. `variance_bound`: null for one that does not
// draw.
template <LevelPromise (*kPromiseOf)(const CodecSpec& spec)>
constexpr CodecOracle LevelOracle(double (*variance_bound)(const CodecSpec& spec,
                                                           absl::Span<const float> in)) {
  return {[](const CodecSpec& spec, int64_t count) { return LevelSize(kPromiseOf(spec), count); },
          nullptr,
          [](const CodecSpec& spec, absl::Span<const float> in, absl::Span<const float> out,
             int64_t) { return CheckLevelBound(kPromiseOf(spec), in, out); },
          // x - q * unit and + q * unit both round.
          [](const CodecSpec&, float) { return false; },
          [](const CodecSpec& spec, absl::Span<const float> in, absl::Span<const float> decoded,
             int64_t) { return CheckLevelDefinition(kPromiseOf(spec), in, decoded); },
          variance_bound};
}

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_LEVEL_ORACLE_H_
