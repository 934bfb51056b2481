#ifndef RINGMASTER_COMMON_CODEC_BLOCKS_BF16_BLOCKS_H_
#define RINGMASTER_COMMON_CODEC_BLOCKS_BF16_BLOCKS_H_

#include <cstdint>

#include "common/codec/blocks/team.h"
#include "common/codec/blocks/word_blocks.h"

namespace ringmaster {

// The bits of the bfloat16 nearest to `value`, ties to even; finite values beyond the range become
// the largest of their sign, and NaNs one NaN. As LevelLoops::encode_bfloats gives them.
RM_DEVICE inline uint16_t BfloatOf(float value) {
  const uint32_t bits = BitsOf(value);
  const uint32_t sign = bits >> 16 & 0x8000;
  const uint32_t magnitude = bits & kMagnitudeBits;
  if (magnitude >= kInfinityBits)
    return static_cast<uint16_t>(sign | (magnitude == kInfinityBits ? 0x7F80 : 0x7FC0));
  const uint32_t rounded = (magnitude + 0x7FFF + (magnitude >> 16 & 1)) >> 16;
  return static_cast<uint16_t>(sign | (rounded < 0x7F7F ? rounded : 0x7F7F));
}

// Exact.
RM_DEVICE inline float FloatOfBfloat(uint16_t bfloat) {
  return FloatOfBits(uint32_t{bfloat} << 16);
}

struct BfloatWord {
  RM_DEVICE static uint16_t Of(float value) { return BfloatOf(value); }
  RM_DEVICE static float Value(uint16_t word) { return FloatOfBfloat(word); }
};

// See common/codec/bf16.h.
template <class Launcher>
void EncodeBf16(Launcher& launcher, const WordEncoding& call) {
  EncodeWords<BfloatWord>(launcher, call);
}

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_BLOCKS_BF16_BLOCKS_H_
