#ifndef RINGMASTER_COMMON_CODEC_LOOPS_DRAWS_H_
#define RINGMASTER_COMMON_CODEC_LOOPS_DRAWS_H_

#include <cstddef>
#include <cstdint>

namespace ringmaster {

// Random numbers by their place: that of element i follows from the seed and i alone, so loops over
// vectors draw without state and in any order. Pure, thread-safe. Source: the constants are those
// of C. Wellons, "hash function prospector", triple-free 32-bit mixers.
struct Draws {
  explicit constexpr Draws(uint64_t seed)
      : low(static_cast<uint32_t>(seed)), high(static_cast<uint32_t>(seed >> 32)) {}

  // 32 random bits. Two rounds of multiplication and shift, each with a half of the seed.
  constexpr uint32_t Word(uint32_t number) const {
    uint32_t x = number + low;
    x ^= x >> 16;
    x *= 0x21F0AAADu;
    x ^= x >> 15;
    x += high;
    x *= 0xD35A2D97u;
    x ^= x >> 15;
    return x;
  }

  // How far apart the two elements lie that share a word.
  static constexpr uint32_t kApart = 16;

  // 24 random bits for element i of a stretch whose words begin with number `first`. A stretch of n
  // elements takes at most n words: half as many, since of each two elements the one has the upper
  // 24 bits of a word and the other those of the word turned by 16 bits. The lower 8 bits of either
  // are the upper ones of the other, so what two roundings have in common is a part of 2^-16.
  constexpr uint32_t Of(uint32_t first, uint32_t i) const {
    const uint32_t word = Word(first + i / (2 * kApart) * kApart + i % kApart);
    return i % (2 * kApart) < kApart ? word >> 8 : (word & 0xFFFFu) << 8 | word >> 24;
  }

  uint32_t low, high;
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_LOOPS_DRAWS_H_
