#ifndef RINGMASTER_WORKER_KERNELS_CPU_WIDE_EXP_H_
#define RINGMASTER_WORKER_KERNELS_CPU_WIDE_EXP_H_

#include <immintrin.h>

// Compiled for AVX-512 whoever includes it, and called only where the processor has it.
#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"

namespace ringmaster::cpu {
namespace {

// The sixteen-lane twin of Exp in vectors.h: the same operations in the same order, and so the same
// bits.
inline __m512 Exp(__m512 x) {
  const __mmask16 kept = _mm512_cmp_ps_mask(x, _mm512_set1_ps(-87.3365f), _CMP_NLT_UQ);
  // With x for the second operand NaN stays.
  x = _mm512_max_ps(_mm512_set1_ps(-87.3365f), x);
  const __m512 n = _mm512_roundscale_ps(x * _mm512_set1_ps(1.44269504088896341f),
                                        _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), x);
  r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4f), r);
  __m512 y = _mm512_set1_ps(1.9875691500e-4f);
  y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(1.3981999507e-3f));
  y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(8.3334519073e-3f));
  y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(4.1665795894e-2f));
  y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(1.6666665459e-1f));
  y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(5.0000001201e-1f));
  y = _mm512_fmadd_ps(y, r * r, r) + _mm512_set1_ps(1.0f);
  return _mm512_maskz_scalef_ps(kept, y, n);
}

}  // namespace
}  // namespace ringmaster::cpu

#pragma GCC diagnostic pop
#pragma GCC pop_options

#endif  // RINGMASTER_WORKER_KERNELS_CPU_WIDE_EXP_H_
