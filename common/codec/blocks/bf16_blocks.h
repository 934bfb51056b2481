#ifndef RINGMASTER_COMMON_CODEC_BLOCKS_BF16_BLOCKS_H_
#define RINGMASTER_COMMON_CODEC_BLOCKS_BF16_BLOCKS_H_

#include <cstdint>

#include "common/codec/blocks/team.h"

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

// bf16 of [count] floats; see common/codec/bf16.h. Everything on the device.
struct Bf16Encoding {
  const float* in = nullptr;
  float* residual = nullptr;  // of error feedback, or null
  int64_t count = 0;
  uint16_t* out = nullptr;         // [count]
  uint32_t* not_finite = nullptr;  // scratch of one
};

struct EncodeBfloats {
  struct Shared {};
  Bf16Encoding call;

  template <class Team>
  RM_DEVICE void operator()(Team& team, Shared&) const {
    team.Each([&](int thread) {
      bool all_finite = true;
      for (int64_t i = team.block() * kTeamThreads + thread; i < call.count;
           i += team.blocks() * kTeamThreads) {
        const float value = call.residual == nullptr ? call.in[i] : call.residual[i] + call.in[i];
        const uint16_t bfloat = BfloatOf(value);
        call.out[i] = bfloat;
        if (call.residual == nullptr) continue;
        all_finite = all_finite && (BitsOf(value) & kMagnitudeBits) < kInfinityBits;
        call.residual[i] = value - FloatOfBfloat(bfloat);
      }
      if (!all_finite) *call.not_finite = 1;
    });
  }
};

template <class Launcher>
void EncodeBf16(Launcher& launcher, const Bf16Encoding& call) {
  const int64_t blocks = TeamBlocks(call.count, 4 * kTeamThreads);
  launcher.Zero(call.not_finite, sizeof(*call.not_finite));
  launcher.Run(blocks, EncodeBfloats{call});
  if (call.residual != nullptr)
    launcher.Run(blocks, ForgetIfNotFinite{call.residual, call.count, call.not_finite});
}

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_BLOCKS_BF16_BLOCKS_H_
