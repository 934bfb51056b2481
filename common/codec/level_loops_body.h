#ifndef RINGMASTER_COMMON_CODEC_LEVEL_LOOPS_BODY_H_
#define RINGMASTER_COMMON_CODEC_LEVEL_LOOPS_BODY_H_

#include <immintrin.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "common/codec/level_loops.h"
#include "common/codec/loops.h"

// Loops that the compiler turns into vectors of the instruction set that its file is compiled for:
// no element depends on another, so all sets give the same bits. Included by one source file for
// each set; everything is static, so that no two files share code.

namespace ringmaster {

static inline uint32_t BitsOfFloat(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits;
}

static inline float FloatOfBits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

// As loops_body.h does: a loop that only writes is held up by the lines it does not have.
static inline void PrefetchLevel(const float* to) {
  __builtin_prefetch(reinterpret_cast<const void*>(reinterpret_cast<uintptr_t>(to) + 2048), 1);
}

static int32_t LevelLargest(const float* in, size_t n) {
  int32_t largest = 0;
  for (size_t i = 0; i < n; ++i) largest = std::max(largest, MagnitudeOf(in[i]));
  return largest;
}

static inline float LevelClamp(float value, float most) {
  const float raised = value < -most ? -most : value;
  return raised > most ? most : raised;
}

static void LevelRoundNearest(const float* __restrict in, size_t n, LevelRule rule,
                              int8_t* __restrict codes) {
  for (size_t i = 0; i < n; ++i) {
    const float whole = std::nearbyint(in[i] * rule.inverse);
    codes[i] = static_cast<int8_t>(static_cast<int32_t>(LevelClamp(whole, rule.most)));
  }
}

static void LevelRoundRandom(const float* __restrict in, size_t n, LevelRule rule, DrawsFrom from,
                             int8_t* __restrict codes) {
  for (size_t i = 0; i < n; ++i) {
    const float place = LevelClamp(in[i] * rule.inverse, rule.most);
    // toward zero, and one less where that is above
    const int32_t cut = static_cast<int32_t>(place);
    const int32_t below = cut - (static_cast<float>(cut) > place ? 1 : 0);
    const uint32_t draw = from.draws.At(from.first + static_cast<uint32_t>(i)) >> 8;
    const float share = static_cast<float>(static_cast<int32_t>(draw)) * 0x1p-24f;
    const float beyond = place - static_cast<float>(below);
    codes[i] = static_cast<int8_t>(below + (share < beyond ? 1 : 0));
  }
}

// The lowest `bits` bits of each byte.
static inline uint64_t LowBitsOfBytes(int bits) {
  return 0x0101010101010101u * ((uint64_t{1} << bits) - 1);
}

static void LevelPack(const int8_t* codes, size_t n, int bits, uint8_t* out) {
  const uint64_t mask = LowBitsOfBytes(bits);
  const size_t bytes = (n * static_cast<size_t>(bits) + 7) / 8;
  size_t i = 0, at = 0;
  for (; i + 8 <= n; i += 8, at += static_cast<size_t>(bits)) {
    uint64_t group;
    std::memcpy(&group, codes + i, sizeof(group));
    group = _pext_u64(group, mask);
    // The whole word where there is room: the next group writes over what is past its own.
    if (at + sizeof(group) <= bytes) {
      std::memcpy(out + at, &group, sizeof(group));
    } else {
      std::memcpy(out + at, &group, std::min<size_t>(bytes - at, static_cast<size_t>(bits)));
    }
  }
  if (i == n) return;
  uint64_t group = 0;
  std::memcpy(&group, codes + i, n - i);
  group = _pext_u64(group, mask);
  std::memcpy(out + at, &group, bytes - at);
}

static CodeRange LevelUnpack(const uint8_t* in, size_t n, int bits, int8_t* codes) {
  const uint64_t mask = LowBitsOfBytes(bits);
  const size_t bytes = (n * static_cast<size_t>(bits) + 7) / 8;
  size_t i = 0, at = 0;
  for (; i + 8 <= n && at + sizeof(uint64_t) <= bytes; i += 8, at += static_cast<size_t>(bits)) {
    uint64_t group;
    std::memcpy(&group, in + at, sizeof(group));
    group = _pdep_u64(group, mask);
    std::memcpy(codes + i, &group, sizeof(group));
  }
  for (; i < n; i += 8, at += static_cast<size_t>(bits)) {
    uint64_t group = 0;
    std::memcpy(&group, in + at, std::min<size_t>(bytes - at, static_cast<size_t>(bits)));
    group = _pdep_u64(group, mask);
    std::memcpy(codes + i, &group, std::min<size_t>(n - i, sizeof(group)));
  }
  const int sign = 1 << (bits - 1);
  int8_t least = 0, largest = 0;
  for (size_t k = 0; k < n; ++k) {
    codes[k] = static_cast<int8_t>((codes[k] ^ sign) - sign);
    least = std::min(least, codes[k]);
    largest = std::max(largest, codes[k]);
  }
  return {least, largest};
}

static void LevelScaleCodes(const int8_t* __restrict codes, size_t n, float unit,
                            float* __restrict out) {
  for (size_t i = 0; i < n; ++i) out[i] = static_cast<float>(codes[i]) * unit;
}

static void LevelAddCodes(const int8_t* __restrict codes, size_t n, float unit,
                          float* __restrict out) {
  for (size_t i = 0; i < n; ++i) out[i] += static_cast<float>(codes[i]) * unit;
}

static void LevelEncodeBfloats(const float* __restrict in, size_t n, std::byte* __restrict out) {
  for (size_t i = 0; i < n; ++i) {
    const int32_t magnitude = MagnitudeOf(in[i]);
    const int32_t rounded = (magnitude + 0x7FFF + ((magnitude >> 16) & 1)) >> 16;
    const int32_t finite = std::min(rounded, 0x7F7F);
    const int32_t other = magnitude > 0x7F800000 ? 0x7FC0 : 0x7F80;
    const uint32_t half = static_cast<uint32_t>(magnitude < 0x7F800000 ? finite : other);
    const uint16_t word = static_cast<uint16_t>(half | ((BitsOfFloat(in[i]) >> 16) & 0x8000u));
    std::memcpy(out + 2 * i, &word, sizeof(word));
  }
}

// `use` does what is to be done with each value and its place in `out`.
template <class Use>
static inline bool LevelDecodeBfloats(const std::byte* __restrict in, size_t n,
                                      float* __restrict out, Use use) {
  int32_t largest = 0;
  for (size_t i = 0; i < n; ++i) {
    uint16_t word;
    std::memcpy(&word, in + 2 * i, sizeof(word));
    largest = std::max(largest, static_cast<int32_t>(word & 0x7FFF));
    use(FloatOfBits(static_cast<uint32_t>(word) << 16), out + i);
  }
  return largest < 0x7F80;
}

static inline void LevelStore(float value, float* to) { *to = value; }
static inline void LevelAdd(float value, float* to) { *to += value; }
static inline void LevelSubtract(float value, float* to) { *to -= value; }

static bool LevelStoreBfloats(const std::byte* in, size_t n, float* out) {
  return LevelDecodeBfloats(in, n, out, LevelStore);
}
static bool LevelAddBfloats(const std::byte* in, size_t n, float* out) {
  return LevelDecodeBfloats(in, n, out, LevelAdd);
}
static bool LevelSubtractBfloats(const std::byte* in, size_t n, float* out) {
  return LevelDecodeBfloats(in, n, out, LevelSubtract);
}

// A carry out of the significand is the power of two above; exponent 254 keeps its own.
static void LevelEncodePowers(const float* __restrict in, size_t n, DrawsFrom from,
                              uint8_t* __restrict exponents, uint8_t* __restrict signs) {
  for (size_t i = 0; i < n; ++i) {
    const uint32_t magnitude = static_cast<uint32_t>(MagnitudeOf(in[i]));
    const uint32_t draw = from.draws.At(from.first + static_cast<uint32_t>(i)) >> 9;
    const uint32_t carried = magnitude < 0x7F000000u ? magnitude + draw : magnitude;
    exponents[i] = static_cast<uint8_t>(carried >> 23);
  }
  size_t i = 0;
  for (; i + 8 <= n; i += 8)
    signs[i / 8] = static_cast<uint8_t>(_mm256_movemask_ps(_mm256_loadu_ps(in + i)));
  if (i == n) return;
  uint32_t last = 0;
  for (size_t k = i; k < n; ++k) last |= BitsOfFloat(in[k]) >> 31 << (k - i);
  signs[i / 8] = static_cast<uint8_t>(last);
}

template <class Use>
static inline bool LevelDecodePowers(const uint8_t* exponents, const uint8_t* signs, size_t n,
                                     float* out, Use use) {
  constexpr size_t kGroup = 8;
  uint8_t largest = 0;
  for (size_t i = 0; i < n; ++i) largest = std::max(largest, exponents[i]);
  const __m256i lanes = _mm256_set_epi32(128, 64, 32, 16, 8, 4, 2, 1);
  size_t i = 0;
  for (; i + kGroup <= n; i += kGroup) {
    const __m256i negative =
        _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(signs[i / 8]), lanes), lanes);
    const __m256i power = _mm256_slli_epi32(
        _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(exponents + i))), 23);
    const __m256i bits = _mm256_or_si256(power, _mm256_slli_epi32(negative, 31));
    use(_mm256_castsi256_ps(bits), out + i);
  }
  for (; i < n; ++i) {
    const uint32_t sign = (signs[i / 8] >> (i % 8)) & 1u;
    use(FloatOfBits(static_cast<uint32_t>(exponents[i]) << 23 | sign << 31), out + i);
  }
  return largest < 255;
}

static inline void LevelStore(__m256 values, float* to) {
  PrefetchLevel(to);
  _mm256_storeu_ps(to, values);
}
static inline void LevelAdd(__m256 values, float* to) {
  _mm256_storeu_ps(to, _mm256_add_ps(_mm256_loadu_ps(to), values));
}
static inline void LevelSubtract(__m256 values, float* to) {
  _mm256_storeu_ps(to, _mm256_sub_ps(_mm256_loadu_ps(to), values));
}

static bool LevelStorePowers(const uint8_t* exponents, const uint8_t* signs, size_t n, float* out) {
  return LevelDecodePowers(exponents, signs, n, out,
                           [](auto values, float* to) { LevelStore(values, to); });
}
static bool LevelAddPowers(const uint8_t* exponents, const uint8_t* signs, size_t n, float* out) {
  return LevelDecodePowers(exponents, signs, n, out,
                           [](auto values, float* to) { LevelAdd(values, to); });
}
static bool LevelSubtractPowers(const uint8_t* exponents, const uint8_t* signs, size_t n,
                                float* out) {
  return LevelDecodePowers(exponents, signs, n, out,
                           [](auto values, float* to) { LevelSubtract(values, to); });
}

// Four doubles a vector in all sets: the same order, and four chains hide the additions' latency.
static double LevelSumPositive(const float* in, size_t n) {
  constexpr size_t kVectors = 4;
  __m256d sums[kVectors];
  for (__m256d& sum : sums) sum = _mm256_setzero_pd();
  size_t i = 0;
  for (; i + 4 * kVectors <= n; i += 4 * kVectors) {
    for (size_t v = 0; v < kVectors; ++v) {
      const __m256d values = _mm256_cvtps_pd(_mm_loadu_ps(in + i + 4 * v));
      // max returns its second operand where one is a NaN
      sums[v] = _mm256_add_pd(sums[v], _mm256_max_pd(_mm256_setzero_pd(), values));
    }
  }
  alignas(32) double lanes[4 * kVectors];
  for (size_t v = 0; v < kVectors; ++v) _mm256_store_pd(lanes + 4 * v, sums[v]);
  for (size_t k = 0; i < n; ++i, ++k) lanes[k] += in[i] < 0 ? 0.0 : static_cast<double>(in[i]);
  for (size_t width = 2 * kVectors; width > 0; width /= 2) {
    for (size_t lane = 0; lane < width; ++lane) lanes[lane] += lanes[lane + width];
  }
  return lanes[0];
}

template <class Use>
static inline void LevelChoose(const uint8_t* bits, size_t n, const float values[2], float* out,
                               Use use) {
  const __m256 clear = _mm256_set1_ps(values[0]), set = _mm256_set1_ps(values[1]);
  const __m256i lanes = _mm256_set_epi32(128, 64, 32, 16, 8, 4, 2, 1);
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const __m256i is_set =
        _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(bits[i / 8]), lanes), lanes);
    use(_mm256_blendv_ps(clear, set, _mm256_castsi256_ps(is_set)), out + i);
  }
  for (; i < n; ++i) use(values[(bits[i / 8] >> (i % 8)) & 1], out + i);
}

static void LevelStoreChosen(const uint8_t* bits, size_t n, const float values[2], float* out) {
  LevelChoose(bits, n, values, out, [](auto chosen, float* to) { LevelStore(chosen, to); });
}
static void LevelAddChosen(const uint8_t* bits, size_t n, const float values[2], float* out) {
  LevelChoose(bits, n, values, out, [](auto chosen, float* to) { LevelAdd(chosen, to); });
}

static constexpr LevelLoops MakeLevelLoops(const char* name) {
  return {name,
          LevelLargest,
          LevelRoundNearest,
          LevelRoundRandom,
          LevelPack,
          LevelUnpack,
          LevelScaleCodes,
          LevelAddCodes,
          LevelEncodeBfloats,
          LevelStoreBfloats,
          LevelAddBfloats,
          LevelSubtractBfloats,
          LevelEncodePowers,
          LevelStorePowers,
          LevelAddPowers,
          LevelSubtractPowers,
          LevelSumPositive,
          LevelStoreChosen,
          LevelAddChosen};
}

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_LEVEL_LOOPS_BODY_H_
