#ifndef RINGMASTER_COMMON_CODEC_BLOCKS_FP16_BLOCKS_H_
#define RINGMASTER_COMMON_CODEC_BLOCKS_FP16_BLOCKS_H_

#include <cstdint>

#include "common/codec/blocks/team.h"
#include "common/codec/blocks/word_blocks.h"

namespace ringmaster {

// The bits of the half nearest to `value`, ties to even; finite values beyond the range become
// +-65504; a NaN stays one, quiet, with the upper bits of its payload. As F16C's instruction gives
// them, in whole numbers alone.
RM_DEVICE inline uint16_t HalfOf(float value) {
  const uint32_t bits = BitsOf(value);
  const uint32_t sign = bits >> 16 & 0x8000;
  const uint32_t magnitude = bits & kMagnitudeBits;
  if (magnitude >= kInfinityBits) {
    const uint32_t payload = magnitude == kInfinityBits ? 0 : 0x200 | (magnitude >> 13 & 0x3FF);
    return static_cast<uint16_t>(sign | 0x7C00 | payload);
  }
  if (magnitude > 0x477FE000) return static_cast<uint16_t>(sign | 0x7BFF);
  if (magnitude >= 0x38800000) {  // 2^-14: a normal half
    const uint32_t rounded = magnitude + 0xFFF + (magnitude >> 13 & 1);
    return static_cast<uint16_t>(sign | ((rounded - 0x38000000) >> 13));
  }
  if (magnitude <= 0x33000000)
    return static_cast<uint16_t>(sign);  // 2^-25: halfway to the least half, or below
  // A multiple of 2^-24: the significand, shifted by what the exponent lacks.
  const uint32_t shift = 126 - (magnitude >> 23);
  const uint32_t significand = (magnitude & 0x7FFFFF) | 0x800000;
  const uint32_t odd = significand >> shift & 1;
  return static_cast<uint16_t>(sign |
                               ((significand + (uint32_t{1} << (shift - 1)) - 1 + odd) >> shift));
}

// The float that a finite half is.
RM_DEVICE inline float FloatOfHalf(uint16_t half) {
  const uint32_t sign = uint32_t{half & 0x8000u} << 16;
  const uint32_t magnitude = half & 0x7FFF;
  if (magnitude >= 0x400) return FloatOfBits(sign | ((magnitude << 13) + 0x38000000));
  return FloatOfBits(sign | BitsOf(static_cast<float>(static_cast<int32_t>(magnitude)) * 0x1p-24f));
}

struct HalfWord {
  RM_DEVICE static uint16_t Of(float value) { return HalfOf(value); }
  RM_DEVICE static float Value(uint16_t word) { return FloatOfHalf(word); }
};

// See common/codec/fp16.h.
template <class Launcher>
void EncodeFp16(Launcher& launcher, const WordEncoding& call) {
  EncodeWords<HalfWord>(launcher, call);
}

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_BLOCKS_FP16_BLOCKS_H_
