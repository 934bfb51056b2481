#ifndef RINGMASTER_WORKER_KERNELS_CPU_WIDE_VECTORS_H_
#define RINGMASTER_WORKER_KERNELS_CPU_WIDE_VECTORS_H_

#include <immintrin.h>

#include <algorithm>
#include <cstdint>

// What the AVX-512 loops share. Compiled for AVX-512 whoever includes it, and called only where the
// processor has it.
#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")
// The intrinsics' own undefined operands.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"

namespace ringmaster::cpu {
namespace {

constexpr int64_t kLanes = 16;

inline __m512 LowPairs(__m512 a, __m512 b) {
  return _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
}
inline __m512 HighPairs(__m512 a, __m512 b) {
  return _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
}

// rows[i] becomes element i of all 16 rows: the transpose, by interleaving 1, 2, 4 and 8 elements.
inline void Transpose16(__m512 (&rows)[16]) {
  __m512 t[16];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_ps(rows[i], rows[i + 1]);
    t[i + 1] = _mm512_unpackhi_ps(rows[i], rows[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    rows[i] = LowPairs(t[i], t[i + 2]);
    rows[i + 1] = HighPairs(t[i], t[i + 2]);
    rows[i + 2] = LowPairs(t[i + 1], t[i + 3]);
    rows[i + 3] = HighPairs(t[i + 1], t[i + 3]);
  }
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_f32x4(rows[i], rows[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_f32x4(rows[i], rows[i + 4], 0xdd);
    t[i + 8] = _mm512_shuffle_f32x4(rows[i + 8], rows[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_f32x4(rows[i + 8], rows[i + 12], 0xdd);
  }
  for (int i = 0; i < 4; ++i) {
    rows[i] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0x88);
    rows[i + 8] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0xdd);
    rows[i + 4] = _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0x88);
    rows[i + 12] = _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0xdd);
  }
}

inline __mmask16 FirstLanes(int64_t count) {
  return static_cast<__mmask16>((uint32_t{1} << std::clamp<int64_t>(count, 0, kLanes)) - 1);
}

// to[c][r] = from[r][c] for rows x cols floats. The rows of `to` are `to_row` floats apart and
// written up to a multiple of 16, with zeros behind the last of `rows`.
inline void Transpose(const float* from, int64_t from_row, int64_t rows, int64_t cols, float* to,
                      int64_t to_row) {
  for (int64_t r = 0; r < rows; r += kLanes) {
    for (int64_t c = 0; c < cols; c += kLanes) {
      __m512 block[16];
      const __mmask16 mask = FirstLanes(cols - c);
      for (int64_t i = 0; i < kLanes; ++i) {
        block[i] = _mm512_maskz_loadu_ps(r + i < rows ? mask : 0,
                                         from + (r + i < rows ? (r + i) * from_row + c : 0));
      }
      Transpose16(block);
      for (int64_t i = 0; i < std::min(kLanes, cols - c); ++i)
        _mm512_storeu_ps(to + (c + i) * to_row + r, block[i]);
    }
  }
}

// Where a pointer comes from, the compiler forgets: neighbouring pixels, kept from one turn of a
// loop to the next, take the registers of the sums, and half of the speed.
inline void Hide(const float** pointer) { asm("" : "+r"(*pointer)); }

}  // namespace
}  // namespace ringmaster::cpu

#pragma GCC diagnostic pop
#pragma GCC pop_options

#endif  // RINGMASTER_WORKER_KERNELS_CPU_WIDE_VECTORS_H_
