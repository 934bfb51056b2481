#ifndef RINGMASTER_COMMON_CODEC_BLOCKS_LEVEL_BLOCKS_H_
#define RINGMASTER_COMMON_CODEC_BLOCKS_LEVEL_BLOCKS_H_

#include <cmath>
#include <cstdint>

#include "common/codec/blocks/team.h"

namespace ringmaster {

// A level codec (common/codec/level_codec.h) of [count] floats, whose scale is the largest
// magnitude and which rounds to nearest. Everything on the device.
struct LevelEncoding {
  const float* in = nullptr;
  float* residual = nullptr;  // of error feedback, or null
  int64_t count = 0;
  int64_t block = 1;   // elements that share a unit
  int32_t levels = 0;  // 127 or 7
  // Units, then whole numbers of `bits` bits; `out` lies at a multiple of 4 bytes.
  int bits = 8;  // 8 or 4
  uint8_t* out = nullptr;
  // Scratch: a flag, and of each block what its elements are multiplied by, 0 where all of its
  // whole numbers are 0.
  uint32_t* not_finite = nullptr;
  float* inverses = nullptr;

  RM_DEVICE int64_t blocks() const { return (count + block - 1) / block; }
  RM_DEVICE float* units() const { return reinterpret_cast<float*>(out); }
};

inline int64_t LevelBlocks(int64_t count, int64_t block) { return (count + block - 1) / block; }

// Rounded once, never fused with a sum that it goes into.
RM_DEVICE inline float LevelProduct(float a, float b) {
#ifdef __CUDA_ARCH__
  return __fmul_rn(a, b);
#else
  return a * b;
#endif
}

// The units of all blocks, and what their elements are multiplied by.
struct ScaleLevelBlocks {
  struct Shared {
    uint32_t largest[kTeamThreads];
  };
  LevelEncoding call;

  template <class Team>
  RM_DEVICE void operator()(Team& team, Shared& shared) const {
    for (int64_t block = team.block(); block < call.blocks(); block += team.blocks()) {
      const int64_t begin = block * call.block;
      const int64_t end = begin + call.block < call.count ? begin + call.block : call.count;
      team.Each([&](int thread) {
        uint32_t largest = 0;
        for (int64_t i = begin + thread; i < end; i += kTeamThreads) {
          const uint32_t magnitude =
              BitsOf(CorrectedAt(call.in, call.residual, i)) & kMagnitudeBits;
          if (magnitude > largest) largest = magnitude;
        }
        shared.largest[thread] = largest;
      });
      for (int half = kTeamThreads / 2; half > 0; half /= 2) {
        team.Each([&](int thread) {
          if (thread < half && shared.largest[thread + half] > shared.largest[thread])
            shared.largest[thread] = shared.largest[thread + half];
        });
      }
      team.Each([&](int thread) {
        if (thread == 0) SetScale(block, shared.largest[0]);
      });
    }
  }

 private:
  // As LevelCodec's ScalingOf.
  RM_DEVICE void SetScale(int64_t block, uint32_t largest) const {
    const float scale = FloatOfBits(largest);
    const auto levels = static_cast<float>(call.levels);
    float unit = 0, inverse = 0;
    if (largest >= kInfinityBits) {
      unit = scale;
      *call.not_finite = 1;
    } else if (scale / levels >= 0x1p-126f) {
      unit = scale / levels;
      while ((BitsOf(unit * levels) & kMagnitudeBits) >= kInfinityBits)
        unit = FloatOfBits(BitsOf(unit) - 1);
      inverse = 1.0f / unit;
      while (inverse * scale > levels) inverse = FloatOfBits(BitsOf(inverse) - 1);
    }
    call.units()[block] = unit;
    call.inverses[block] = inverse;
  }
};

// The whole numbers, a byte of them by one thread.
struct PackLevels {
  struct Shared {};
  LevelEncoding call;

  template <class Team>
  RM_DEVICE void operator()(Team& team, Shared&) const {
    uint8_t* const codes = call.out + 4 * call.blocks();
    const int per_byte = 8 / call.bits;
    const int64_t bytes = (call.count + per_byte - 1) / per_byte;
    team.Each([&](int thread) {
      for (int64_t at = team.block() * kTeamThreads + thread; at < bytes;
           at += team.blocks() * kTeamThreads) {
        uint32_t packed = 0;
        for (int place = 0; place < per_byte && at * per_byte + place < call.count; ++place)
          packed |= CodeOf(at * per_byte + place) << (place * call.bits);
        codes[at] = static_cast<uint8_t>(packed);
      }
    });
  }

 private:
  // The two's complement of element i, whose residual becomes what is left of it.
  RM_DEVICE uint32_t CodeOf(int64_t i) const {
    const int64_t block = i / call.block;
    const float value = call.residual == nullptr ? call.in[i] : call.residual[i];
    const float inverse = call.inverses[block];
    const auto code = inverse == 0 ? 0 : static_cast<int32_t>(rintf(LevelProduct(value, inverse)));
    if (call.residual != nullptr) {
      const float sent = LevelProduct(static_cast<float>(code), -call.units()[block]);
      call.residual[i] = value + sent;
    }
    return static_cast<uint32_t>(code) & ((uint32_t{1} << call.bits) - 1);
  }
};

template <class Launcher>
void EncodeLevels(Launcher& launcher, const LevelEncoding& call) {
  launcher.Zero(call.not_finite, sizeof(*call.not_finite));
  launcher.Run(TeamBlocks(LevelBlocks(call.count, call.block), 1), ScaleLevelBlocks{call});
  launcher.Run(TeamBlocks(call.count, 4 * kTeamThreads), PackLevels{call});
  if (call.residual != nullptr) {
    launcher.Run(TeamBlocks(call.count, 4 * kTeamThreads),
                 ForgetIfNotFinite{call.residual, call.count, call.not_finite});
  }
}

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_BLOCKS_LEVEL_BLOCKS_H_
