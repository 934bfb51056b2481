#ifndef RINGMASTER_COMMON_CODEC_BLOCKS_TEAM_H_
#define RINGMASTER_COMMON_CODEC_BLOCKS_TEAM_H_

#include <cstdint>

// Functions that run on a device where nvcc compiles them, and on the host otherwise.
#ifdef __CUDACC__
#define RM_DEVICE __device__
#else
#define RM_DEVICE
#endif

namespace ringmaster {

// How encoders are written once, for a device and for a test on the host. What one launch does is a
// type with
//   struct Shared;  // memory of one block of threads, not initialized
//   template <class Team>
//   RM_DEVICE void operator()(Team& team, Shared& shared) const;
// and a Team is a block of kTeamThreads threads:
//   team.block(), team.blocks()  the block's index, and the number of blocks
//   team.Each(f)                 f(thread) for every thread, in any order or at once; all are done
//                                when it returns
//   team.Add(counter, value)     *counter += value, atomically
// A Launcher runs such types one after the other, each when the one before is done:
//   launcher.Zero(memory, bytes)
//   launcher.Run(blocks, work)
// No sum of floats depends on the order of threads or blocks, so all of them give the same bits.
inline constexpr int kTeamThreads = 256;
// some on every multiprocessor; blocks stride over what is left
inline constexpr int64_t kTeamBlocksMax = 2048;

inline int64_t TeamBlocks(int64_t count, int64_t count_per_block) {
  const int64_t blocks = (count + count_per_block - 1) / count_per_block;
  return blocks < 1 ? 1 : blocks < kTeamBlocksMax ? blocks : kTeamBlocksMax;
}

RM_DEVICE inline uint32_t BitsOf(float value) {
  uint32_t bits;
  __builtin_memcpy(&bits, &value, sizeof(bits));
  return bits;
}
RM_DEVICE inline float FloatOfBits(uint32_t bits) {
  float value;
  __builtin_memcpy(&value, &bits, sizeof(value));
  return value;
}
inline constexpr uint32_t kMagnitudeBits = 0x7FFFFFFF;
inline constexpr uint32_t kInfinityBits = 0x7F800000;  // magnitudes from here on are not finite

// What is encoded of element i: in[i], or with error feedback residual[i] + in[i], which the
// residual becomes.
RM_DEVICE inline float CorrectedAt(const float* in, float* residual, int64_t i) {
  if (residual == nullptr) return in[i];
  const float corrected = residual[i] + in[i];
  residual[i] = corrected;
  return corrected;
}

// residual = 0 where *not_finite is set: there is nothing to make good for a run that diverges.
struct ForgetIfNotFinite {
  struct Shared {};
  float* residual;
  int64_t count;
  const uint32_t* not_finite;

  template <class Team>
  RM_DEVICE void operator()(Team& team, Shared&) const {
    if (*not_finite == 0) return;
    team.Each([&](int thread) {
      for (int64_t i = team.block() * kTeamThreads + thread; i < count;
           i += team.blocks() * kTeamThreads) {
        residual[i] = 0.0f;
      }
    });
  }
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_BLOCKS_TEAM_H_
