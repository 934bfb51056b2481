#ifndef RINGMASTER_WORKER_KERNELS_CPU_LOOPS_VECTORS_AVX2_H_
#define RINGMASTER_WORKER_KERNELS_CPU_LOOPS_VECTORS_AVX2_H_

#include <immintrin.h>

#include <algorithm>
#include <cstdint>

#include "worker/kernels/cpu/vectors.h"

namespace ringmaster::cpu {

// What the loops ask of vectors of AVX2, and the tiles that fill its 16 registers and small caches
// (32 KiB and 512 KiB). vectors_avx512.h has the same members. Nothing in memory needs to be
// aligned. Sums, products and differences of Floats are the compiler's own operators.
struct Avx2 {
  static constexpr int64_t kLanes = 8;
  using Floats = __m256;
  using Mask = __m256i;  // all bits of a lane

  // Each tile: 12 registers of sums, two vectors, a broadcast number, a mask.
  static constexpr int64_t kTileRows = 6, kTileVectors = 2;  // of a product
  static constexpr int64_t kPixels = 6;                      // by kTileVectors, forward
  static constexpr int64_t kTaps = 6, kTapVectors = 2;       // of a weight gradient
  // Terms of a product of few rows that are added up at a time: their vectors, 16 KiB, stay in the
  // first cache.
  static constexpr int64_t kTerms = 256;
  // Which products of few rows oneDNN does not do as fast.
  static constexpr bool kFewRowsOfWeights = false, kFewRowsOfInputs = true;

  static Floats Zero() { return _mm256_setzero_ps(); }
  static Floats Set(float value) { return _mm256_set1_ps(value); }
  static Floats Load(const float* from) { return _mm256_loadu_ps(from); }
  static void Store(float* to, Floats values) { _mm256_storeu_ps(to, values); }
  // a b + c, one rounding
  static Floats MultiplyAdd(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
  // Of a NaN and a number the second.
  static Floats Larger(Floats a, Floats b) { return _mm256_max_ps(a, b); }
  static Floats Smaller(Floats a, Floats b) { return _mm256_min_ps(a, b); }
  static Floats WithSign(Floats values) { return _mm256_or_ps(values, Set(-0.0f)); }
  // Lanes whose sign bit is set in `sign` from `then`.
  static Floats WhereNegative(Floats sign, Floats then, Floats otherwise) {
    return _mm256_blendv_ps(otherwise, then, sign);
  }
  static Floats ExpOf(Floats x) { return Exp(x); }

  // The first `count` lanes; none if it is negative, all if it is large.
  static Mask First(int64_t count) { return FirstLanes(std::clamp<int64_t>(count, 0, kLanes)); }
  static Floats LoadMasked(const float* from, Mask mask) { return _mm256_maskload_ps(from, mask); }
  static void StoreMasked(float* to, Mask mask, Floats values) {
    _mm256_maskstore_ps(to, mask, values);
  }
  static Floats Where(Mask mask, Floats then, Floats otherwise) {
    return _mm256_blendv_ps(otherwise, then, _mm256_castsi256_ps(mask));
  }

  static float Sum(Floats values) { return SumOfLanes(values); }
  static float Largest(Floats values) {
    const __m128 four =
        _mm_max_ps(_mm256_castps256_ps128(values), _mm256_extractf128_ps(values, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
  }

  // rows[i] becomes element i of all 8 rows, by interleaving 1, 2 and 4 elements.
  static void Transpose(Floats (&rows)[8]) {
    __m256 t[8];
    for (int i = 0; i < 8; i += 2) {
      t[i] = _mm256_unpacklo_ps(rows[i], rows[i + 1]);
      t[i + 1] = _mm256_unpackhi_ps(rows[i], rows[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
      rows[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
      rows[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
      rows[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
      rows[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
    for (int i = 0; i < 4; ++i) {
      t[i] = _mm256_permute2f128_ps(rows[i], rows[i + 4], 0x20);
      t[i + 4] = _mm256_permute2f128_ps(rows[i], rows[i + 4], 0x31);
    }
    for (int i = 0; i < 8; ++i) rows[i] = t[i];
  }
};

}  // namespace ringmaster::cpu

#endif  // RINGMASTER_WORKER_KERNELS_CPU_LOOPS_VECTORS_AVX2_H_
