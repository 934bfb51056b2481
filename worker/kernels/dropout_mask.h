#ifndef RINGMASTER_WORKER_KERNELS_DROPOUT_MASK_H_
#define RINGMASTER_WORKER_KERNELS_DROPOUT_MASK_H_

#include <cstdint>

#ifdef __CUDACC__
#define RM_HOST_DEVICE __host__ __device__
#else
#define RM_HOST_DEVICE
#endif

namespace ringmaster {

// Element `index` of the random numbers of `seed`: uniform in [0, 1), a multiple of 2^-24. A pure
// function, the same on host and device. Streams of two seeds are unrelated when the seeds are
// themselves mixed (MixSeed): the stream of seed + 0x9E3779B97F4A7C15 is this one, an element on.
// Source: SplitMix64, Steele et al. 2014.
RM_HOST_DEVICE inline float DropoutDraw(uint64_t seed, uint64_t index) {
  uint64_t z = seed + (index + 1) * 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  z = z ^ (z >> 31);
  // 24 bits are exact as a float.
  return static_cast<float>(static_cast<int32_t>(z >> 40)) * 0x1p-24f;
}

// Whether dropout with `rate` in [0, 1) keeps element `index`: with probability 1 - rate, to 2^-24.
RM_HOST_DEVICE inline bool DropoutKeeps(uint64_t seed, uint64_t index, float rate) {
  return DropoutDraw(seed, index) >= rate;
}

}  // namespace ringmaster

#undef RM_HOST_DEVICE

#endif  // RINGMASTER_WORKER_KERNELS_DROPOUT_MASK_H_
