#ifndef RINGMASTER_WORKER_KERNELS_CPU_VECTORS_H_
#define RINGMASTER_WORKER_KERNELS_CPU_VECTORS_H_

#include <immintrin.h>

#include <cstdint>

namespace ringmaster::cpu {

// Loops over arrays of any length and alignment, eight floats at a time; what is left at the end is
// loaded and stored under a mask. The order of every sum depends on the count alone.

// All bits set in the first `count` lanes, 0 <= count <= 8.
inline __m256i FirstLanes(int64_t count) {
  alignas(32) static constexpr int32_t kLanes[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kLanes + 8 - count));
}

inline float SumOfLanes(__m256 eight) {
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

// out[i] = function(in[i]...) with vectors for arguments and result; `out` may be one of `in`.
template <typename Function, typename... Arrays>
inline void Map(int64_t count, float* out, Function function, const Arrays*... in) {
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) _mm256_storeu_ps(out + i, function(_mm256_loadu_ps(in + i)...));
  if (i == count) return;
  const __m256i mask = FirstLanes(count - i);
  _mm256_maskstore_ps(out + i, mask, function(_mm256_maskload_ps(in + i, mask)...));
}

// The sum of term(in[i]...) in 32 lanes, each taking every 32nd, joined pairwise at the end.
template <typename Term, typename... Arrays>
inline float SumOf(int64_t count, Term term, const Arrays*... in) {
  __m256 lanes[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(),
                     _mm256_setzero_ps()};
  int64_t i = 0;
  for (; i + 32 <= count; i += 32) {
    for (int lane = 0; lane < 4; ++lane) {
      lanes[lane] = _mm256_add_ps(lanes[lane], term(_mm256_loadu_ps(in + i + 8 * lane)...));
    }
  }
  for (; i + 8 <= count; i += 8)
    lanes[0] = _mm256_add_ps(lanes[0], term(_mm256_loadu_ps(in + i)...));
  if (i < count) {
    const __m256i mask = FirstLanes(count - i);
    const __m256 last = term(_mm256_maskload_ps(in + i, mask)...);
    lanes[1] = _mm256_add_ps(lanes[1], _mm256_and_ps(last, _mm256_castsi256_ps(mask)));
  }
  return SumOfLanes(
      _mm256_add_ps(_mm256_add_ps(lanes[0], lanes[1]), _mm256_add_ps(lanes[2], lanes[3])));
}

// The sum of values[count].
inline float Sum(int64_t count, const float* values) {
  return SumOf(
      count, [](__m256 value) { return value; }, values);
}

// The largest of values[count] that is no NaN; minus infinity if there is none.
inline float Largest(int64_t count, const float* values) {
  const __m256 lowest = _mm256_set1_ps(-__builtin_inff());
  // max_ps gives its second operand when one of the two is NaN.
  __m256 largest = lowest;
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) largest = _mm256_max_ps(_mm256_loadu_ps(values + i), largest);
  if (i < count) {
    const __m256i mask = FirstLanes(count - i);
    const __m256 last = _mm256_maskload_ps(values + i, mask);
    largest = _mm256_max_ps(_mm256_blendv_ps(lowest, last, _mm256_castsi256_ps(mask)), largest);
  }
  const __m128 four =
      _mm_max_ps(_mm256_castps256_ps128(largest), _mm256_extractf128_ps(largest, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

// e^x for x <= 0, off by at most 1.41 * 2^-24 of it for any float; 0 below the logarithm of the
// smallest normal number; NaN stays NaN. x = n ln 2 + r with ln 2 in two parts, so that r is nearly
// exact, and a polynomial for e^r, |r| <= ln(2) / 2. Source: Cephes mathematical library, Moshier
// 1989, expf.c (its minimax coefficients and its split of ln 2).
inline __m256 Exp(__m256 x) {
  const __m256 underflow = _mm256_cmp_ps(x, _mm256_set1_ps(-87.3365f), _CMP_LT_OQ);
  // With x for the second operand NaN stays.
  x = _mm256_max_ps(_mm256_set1_ps(-87.3365f), x);
  const __m256 n = _mm256_round_ps(x * _mm256_set1_ps(1.44269504088896341f),
                                   _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  __m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0.693359375f), x);
  r = _mm256_fnmadd_ps(n, _mm256_set1_ps(-2.12194440e-4f), r);
  __m256 y = _mm256_set1_ps(1.9875691500e-4f);
  y = _mm256_fmadd_ps(y, r, _mm256_set1_ps(1.3981999507e-3f));
  y = _mm256_fmadd_ps(y, r, _mm256_set1_ps(8.3334519073e-3f));
  y = _mm256_fmadd_ps(y, r, _mm256_set1_ps(4.1665795894e-2f));
  y = _mm256_fmadd_ps(y, r, _mm256_set1_ps(1.6666665459e-1f));
  y = _mm256_fmadd_ps(y, r, _mm256_set1_ps(5.0000001201e-1f));
  y = _mm256_fmadd_ps(y, r * r, r) + _mm256_set1_ps(1.0f);
  const __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
  const __m256 power = _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23));
  return _mm256_andnot_ps(underflow, y * power);
}

}  // namespace ringmaster::cpu

#endif  // RINGMASTER_WORKER_KERNELS_CPU_VECTORS_H_
