#ifndef RINGMASTER_COMMON_CODEC_BLOCKS_ONEBIT_BLOCKS_H_
#define RINGMASTER_COMMON_CODEC_BLOCKS_ONEBIT_BLOCKS_H_

#include <cstdint>

#include "common/codec/blocks/team.h"
#include "common/codec/sum_order.h"

namespace ringmaster {

// onebit of [count] floats, count > 0; see common/codec/onebit.h. Everything on the device.
struct OnebitEncoding {
  const float* in = nullptr;
  float* residual = nullptr;  // of error feedback, or null
  int64_t count = 0;
  // [4 + ceil(count / 8)], at a multiple of 4 bytes: the scale, then the signs
  uint8_t* out = nullptr;
  double* lanes = nullptr;  // scratch, [OnebitSumBlocks(count), kSumLanes]
};

inline int64_t OnebitSumBlocks(int64_t count) { return (count + kSumBlock - 1) / kSumBlock; }

// The sum of a block's magnitudes by lane, and the signs. A warp takes a block: its lanes are those
// of the sum, so that neighbouring threads read neighbouring elements. `is_negative` turns what
// lies side by side in time into words of bits.
struct SumMagnitudes {
  static constexpr int kWarps = kTeamThreads / kSumLanes;
  static constexpr int kWords = kSumBlock / 32;
  struct Shared {
    alignas(4) uint8_t is_negative[kWarps][kSumBlock];
  };
  OnebitEncoding call;

  template <class Team>
  RM_DEVICE void operator()(Team& team, Shared& shared) const {
    const int64_t sum_blocks = (call.count + kSumBlock - 1) / kSumBlock;
    for (int64_t first = team.block() * kWarps; first < sum_blocks;
         first += team.blocks() * kWarps) {
      team.Each([&](int thread) { AddUp(first, thread, shared); });
      team.Each([&](int thread) {
        for (int word = thread; word < kWarps * kWords; word += kTeamThreads)
          PackWord(first, word, shared);
      });
    }
  }

 private:
  RM_DEVICE void AddUp(int64_t first, int thread, Shared& shared) const {
    const int warp = thread / static_cast<int>(kSumLanes),
              lane = thread % static_cast<int>(kSumLanes);
    const int64_t begin = (first + warp) * kSumBlock;
    if (begin >= call.count) return;
    double sum = 0.0;
    for (int at = lane; at < kSumBlock; at += kSumLanes) {
      uint8_t is_negative = 0;
      if (begin + at < call.count) {
        const uint32_t bits = BitsOf(CorrectedAt(call.in, call.residual, begin + at));
        sum += static_cast<double>(FloatOfBits(bits & kMagnitudeBits));
        is_negative = static_cast<uint8_t>(bits >> 31);
      }
      shared.is_negative[warp][at] = is_negative;
    }
    call.lanes[(first + warp) * kSumLanes + lane] = sum;
  }

  RM_DEVICE void PackWord(int64_t first, int word, const Shared& shared) const {
    const int warp = word / kWords, at = word % kWords;
    const int64_t begin = (first + warp) * kSumBlock + at * 32;
    if (begin >= call.count) return;
    uint32_t bits = 0;
    for (int i = 0; i < 32; i += 4) {
      uint32_t four;
      __builtin_memcpy(&four, &shared.is_negative[warp][at * 32 + i], sizeof(four));
      bits |= ((four & 1) | (four >> 7 & 2) | (four >> 14 & 4) | (four >> 21 & 8)) << i;
    }
    uint8_t* const to = call.out + 4 + begin / 8;
    if (begin + 32 <= call.count) {
      *reinterpret_cast<uint32_t*>(to) = bits;
      return;
    }
    for (int byte = 0; begin + byte * 8 < call.count; ++byte)
      to[byte] = static_cast<uint8_t>(bits >> (8 * byte));
  }
};

// The blocks' lanes in the order of the blocks, then the lanes in halves, then the scale. One block
// of threads, of which a warp adds what all of them have read ahead.
struct FinishScale {
  static constexpr int64_t kTileBlocks = 128;
  struct Shared {
    double tile[kTileBlocks * kSumLanes];
    double lanes[kSumLanes];
  };
  OnebitEncoding call;

  template <class Team>
  RM_DEVICE void operator()(Team& team, Shared& shared) const {
    const int64_t sum_blocks = (call.count + kSumBlock - 1) / kSumBlock;
    for (int64_t first = 0; first < sum_blocks; first += kTileBlocks) {
      team.Each([&](int thread) {
        for (int64_t i = thread;
             i < kTileBlocks * kSumLanes && first * kSumLanes + i < sum_blocks * kSumLanes;
             i += kTeamThreads) {
          shared.tile[i] = call.lanes[first * kSumLanes + i];
        }
      });
      team.Each([&](int lane) {
        if (lane >= kSumLanes) return;
        double sum = first == 0 ? 0.0 : shared.lanes[lane];
        for (int64_t block = 0; block < kTileBlocks && first + block < sum_blocks; ++block) {
          sum += shared.tile[block * kSumLanes + lane];
        }
        shared.lanes[lane] = sum;
      });
    }
    for (int width = static_cast<int>(kSumLanes) / 2; width > 0; width /= 2) {
      team.Each([&](int lane) {
        if (lane < width) shared.lanes[lane] += shared.lanes[lane + width];
      });
    }
    team.Each([&](int thread) {
      if (thread > 0) return;
      *reinterpret_cast<uint32_t*>(call.out) =
          BitsOf(static_cast<float>(shared.lanes[0] / static_cast<double>(call.count)));
    });
  }
};

// What the scale leaves out; all zeros where it is not finite.
struct SubtractScale {
  struct Shared {};
  OnebitEncoding call;

  template <class Team>
  RM_DEVICE void operator()(Team& team, Shared&) const {
    const uint32_t scale = *reinterpret_cast<const uint32_t*>(call.out);
    team.Each([&](int thread) {
      for (int64_t i = team.block() * kTeamThreads + thread; i < call.count;
           i += team.blocks() * kTeamThreads) {
        const float value = call.residual[i];
        const float left = value + FloatOfBits(scale ^ (~BitsOf(value) & 0x80000000));
        call.residual[i] = scale < kInfinityBits ? left : 0.0f;
      }
    });
  }
};

template <class Launcher>
void EncodeOnebit(Launcher& launcher, const OnebitEncoding& call) {
  launcher.Run(TeamBlocks(OnebitSumBlocks(call.count), SumMagnitudes::kWarps), SumMagnitudes{call});
  launcher.Run(1, FinishScale{call});
  if (call.residual != nullptr)
    launcher.Run(TeamBlocks(call.count, 4 * kTeamThreads), SubtractScale{call});
}

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_BLOCKS_ONEBIT_BLOCKS_H_
