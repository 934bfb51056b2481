#ifndef RINGMASTER_COMMON_CODEC_DRAWS_H_
#define RINGMASTER_COMMON_CODEC_DRAWS_H_

#include <cstdint>

namespace ringmaster {

// Random numbers by their place: the one of element i follows from the seed and i alone, so loops
// over vectors draw without state and in any order. Two rounds of multiplication and shift, each
// with a half of the seed. Pure, thread-safe. Source: the constants are those of C. Wellons, "hash
// function prospector", triple-free 32-bit mixers.
struct Draws {
  explicit constexpr Draws(uint64_t seed)
      : low(static_cast<uint32_t>(seed)), high(static_cast<uint32_t>(seed >> 32)) {}

  // 32 random bits.
  constexpr uint32_t At(uint32_t element) const {
    uint32_t x = element + low;
    x ^= x >> 16;
    x *= 0x21F0AAADu;
    x ^= x >> 15;
    x += high;
    x *= 0xD35A2D97u;
    x ^= x >> 15;
    return x;
  }

  uint32_t low, high;
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_DRAWS_H_
