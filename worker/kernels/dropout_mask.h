#ifndef RINGMASTER_WORKER_KERNELS_DROPOUT_MASK_H_
#define RINGMASTER_WORKER_KERNELS_DROPOUT_MASK_H_

#include <cstdint>

#ifdef __CUDACC__
#define RM_HOST_DEVICE __host__ __device__
#else
#define RM_HOST_DEVICE
#endif

namespace ringmaster {

// Whether dropout with `rate` in [0, 1) keeps element `index`: with probability 1 - rate, to 2^-24. A pure function of
// its arguments, the same on host and device. Streams of one seed and the next are unrelated only when the seeds are
// themselves mixed (MixSeed): seed + 0x9E3779B97F4A7C15 is the same stream, one element on.
// Source: SplitMix64's finalizer, Steele et al. 2014.
RM_HOST_DEVICE inline bool DropoutKeeps(uint64_t seed, uint64_t index, float rate) {
  uint64_t z = seed + (index + 1) * 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  z = z ^ (z >> 31);
  // 24 bits are exact as a float.
  return static_cast<float>(static_cast<int32_t>(z >> 40)) * 0x1p-24f >= rate;
}

}  // namespace ringmaster

#undef RM_HOST_DEVICE

#endif  // RINGMASTER_WORKER_KERNELS_DROPOUT_MASK_H_
