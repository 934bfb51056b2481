#ifndef RINGMASTER_WORKER_KERNELS_CPU_LOOPS_VECTORS_AVX512_H_
#define RINGMASTER_WORKER_KERNELS_CPU_LOOPS_VECTORS_AVX512_H_

#include <immintrin.h>

#include <algorithm>
#include <cstdint>

namespace ringmaster::cpu {

// As vectors_avx2.h, for 32 registers. Only files that are compiled for AVX-512 (F, BW, DQ, VL) may
// include it, after everything else.
struct Avx512 {
  static constexpr int64_t kLanes = 16;
  using Floats = __m512;
  using Mask = __mmask16;

  static constexpr int64_t kTileRows = 6, kTileVectors = 4;
  static constexpr int64_t kPixels = 14;
  static constexpr int64_t kTaps = 7, kTapVectors = 4;
  static constexpr int64_t kTerms = int64_t{1} << 40;
  static constexpr bool kFewRowsOfWeights = true, kFewRowsOfInputs = false;

  static Floats Zero() { return _mm512_setzero_ps(); }
  static Floats Set(float value) { return _mm512_set1_ps(value); }
  static Floats Load(const float* from) { return _mm512_loadu_ps(from); }
  static void Store(float* to, Floats values) { _mm512_storeu_ps(to, values); }
  static Floats MultiplyAdd(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
  static Floats Larger(Floats a, Floats b) { return _mm512_max_ps(a, b); }
  static Floats Smaller(Floats a, Floats b) { return _mm512_min_ps(a, b); }
  static Floats WithSign(Floats values) { return _mm512_or_ps(values, Set(-0.0f)); }
  static Floats WhereNegative(Floats sign, Floats then, Floats otherwise) {
    return _mm512_mask_mov_ps(otherwise, _mm512_movepi32_mask(_mm512_castps_si512(sign)), then);
  }

  static Mask First(int64_t count) {
    return static_cast<Mask>((uint32_t{1} << std::clamp<int64_t>(count, 0, kLanes)) - 1);
  }
  static Floats LoadMasked(const float* from, Mask mask) {
    return _mm512_maskz_loadu_ps(mask, from);
  }
  static void StoreMasked(float* to, Mask mask, Floats values) {
    _mm512_mask_storeu_ps(to, mask, values);
  }
  static Floats Where(Mask mask, Floats then, Floats otherwise) {
    return _mm512_mask_mov_ps(otherwise, mask, then);
  }

  static float Sum(Floats values) { return _mm512_reduce_add_ps(values); }
  static float Largest(Floats values) { return _mm512_reduce_max_ps(values); }

  // Exp of vectors.h: the same operations in the same order, and so the same bits.
  static Floats ExpOf(Floats x) {
    const Mask kept = _mm512_cmp_ps_mask(x, Set(-87.3365f), _CMP_NLT_UQ);
    // With x for the second operand NaN stays.
    x = _mm512_max_ps(Set(-87.3365f), x);
    const Floats n = _mm512_roundscale_ps(x * Set(1.44269504088896341f),
                                          _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    Floats r = _mm512_fnmadd_ps(n, Set(0.693359375f), x);
    r = _mm512_fnmadd_ps(n, Set(-2.12194440e-4f), r);
    Floats y = Set(1.9875691500e-4f);
    y = _mm512_fmadd_ps(y, r, Set(1.3981999507e-3f));
    y = _mm512_fmadd_ps(y, r, Set(8.3334519073e-3f));
    y = _mm512_fmadd_ps(y, r, Set(4.1665795894e-2f));
    y = _mm512_fmadd_ps(y, r, Set(1.6666665459e-1f));
    y = _mm512_fmadd_ps(y, r, Set(5.0000001201e-1f));
    y = _mm512_fmadd_ps(y, r * r, r) + Set(1.0f);
    return _mm512_maskz_scalef_ps(kept, y, n);
  }

  // rows[i] becomes element i of all 16 rows, by interleaving 1, 2, 4 and 8 elements.
  static void Transpose(Floats (&rows)[16]) {
    __m512 t[16];
    for (int i = 0; i < 16; i += 2) {
      t[i] = _mm512_unpacklo_ps(rows[i], rows[i + 1]);
      t[i + 1] = _mm512_unpackhi_ps(rows[i], rows[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
      rows[i] = _mm512_shuffle_ps(t[i], t[i + 2], 0x44);
      rows[i + 1] = _mm512_shuffle_ps(t[i], t[i + 2], 0xee);
      rows[i + 2] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0x44);
      rows[i + 3] = _mm512_shuffle_ps(t[i + 1], t[i + 3], 0xee);
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
};

}  // namespace ringmaster::cpu

#endif  // RINGMASTER_WORKER_KERNELS_CPU_LOOPS_VECTORS_AVX512_H_
