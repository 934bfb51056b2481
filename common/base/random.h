#ifndef RINGMASTER_COMMON_BASE_RANDOM_H_
#define RINGMASTER_COMMON_BASE_RANDOM_H_

#include <cmath>
#include <cstdint>

namespace ringmaster {

// A small seeded generator whose numbers are the same on every machine and library version, unlike
// the standard distributions. Source: SplitMix64, Steele et al. 2014.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    uint64_t z = (state_ += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }

  // Uniform in [0, bound), bound > 0. Unbiased by multiplication to 128 bits up to 2^-64.
  uint64_t Below(uint64_t bound) {
    return static_cast<uint64_t>((static_cast<unsigned __int128>(Next()) * bound) >> 64);
  }

  // Uniform in [0, 1), a multiple of 2^-24, so that it is exact as a float.
  float Uniform() { return static_cast<float>(Next() >> 40) * 0x1p-24f; }

  // Standard normal, by Box and Muller in double precision; one number a call.
  float Normal() {
    const double u = (static_cast<double>(Next() >> 11) + 1.0) * 0x1p-53;
    const double v = static_cast<double>(Next() >> 11) * 0x1p-53;
    return static_cast<float>(std::sqrt(-2.0 * std::log(u)) * std::cos(6.283185307179586 * v));
  }

 private:
  uint64_t state_;
};

// Mixes two numbers to one seed: independent streams for (seed, epoch), (seed, rank), (seed, step),
// ...
inline uint64_t MixSeed(uint64_t seed, uint64_t stream) {
  return Random(seed ^ Random(stream).Next()).Next();
}

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_BASE_RANDOM_H_
