// What the pragma compiles must be seen by this file alone, so everything else comes before it.
#include <immintrin.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "common/codec/loops.h"

// The compiler's own header fills unused lanes with what it has not set.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl")

#include "common/codec/loops_body.h"

namespace ringmaster {
namespace {

struct Avx512 {
  static constexpr size_t kLanes = 16;
  static constexpr size_t kDoubles = 8;
  using Floats = __m512;
  using Ints = __m512i;
  using Doubles = __m512d;
  using SignWord = uint16_t;

  static Floats Load(const float* from) { return _mm512_loadu_ps(from); }
  static void Store(Floats values, float* to) { _mm512_storeu_ps(to, values); }
  static Floats Set(float value) { return _mm512_set1_ps(value); }
  static Floats Add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
  static Floats Subtract(Floats a, Floats b) { return _mm512_sub_ps(a, b); }

  static Floats LoadHalves(const std::byte* from) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
  }
  static void StoreHalves(Floats values, std::byte* to) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to),
                        _mm512_cvtps_ph(values, _MM_FROUND_TO_NEAREST_INT));
  }
  // Finite values into [-65504, 65504]; infinities and NaNs pass.
  static Floats Saturate(Floats values) {
    const __mmask16 finite =
        _mm512_cmpgt_epi32_mask(_mm512_set1_epi32(0x7F800000), Magnitude(values));
    const __m512 raised = _mm512_mask_max_ps(values, finite, _mm512_set1_ps(-kLargestHalf), values);
    return _mm512_mask_min_ps(values, finite, _mm512_set1_ps(kLargestHalf), raised);
  }

  static Ints Zero() { return _mm512_setzero_si512(); }
  static Ints SetInts(int32_t value) { return _mm512_set1_epi32(value); }
  static Ints Magnitude(Floats values) {
    return _mm512_and_si512(_mm512_castps_si512(values), _mm512_set1_epi32(0x7FFFFFFF));
  }
  static Ints Larger(Ints a, Ints b) { return _mm512_max_epi32(a, b); }
  static uint32_t Above(Ints magnitudes, Ints limit) {
    return _mm512_cmpgt_epi32_mask(magnitudes, limit);
  }
  static bool AllFinite(Ints magnitudes) { return Above(magnitudes, SetInts(0x7F7FFFFF)) == 0; }

  static uint32_t Signs(Floats values) { return _mm512_movepi32_mask(_mm512_castps_si512(values)); }
  static Floats WithSigns(uint32_t bits, Floats magnitude) {
    return _mm512_mask_xor_ps(magnitude, static_cast<__mmask16>(bits), magnitude,
                              _mm512_set1_ps(-0.0f));
  }

  static Doubles ZeroDoubles() { return _mm512_setzero_pd(); }
  static Doubles Magnitudes(const float* from) {
    return _mm512_abs_pd(_mm512_cvtps_pd(_mm256_loadu_ps(from)));
  }
  static Doubles AddDoubles(Doubles a, Doubles b) { return _mm512_add_pd(a, b); }
  static void StoreDoubles(Doubles values, double* to) { _mm512_storeu_pd(to, values); }

  // Whole vectors are written, compressed in a register: a compressing store is many times slower
  // on some machines.
  static size_t Append(Floats values, int32_t first, uint32_t mask, int32_t* indices, float* kept) {
    const __mmask16 lanes = static_cast<__mmask16>(mask);
    const __m512i index =
        _mm512_add_epi32(_mm512_set1_epi32(first),
                         _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
    _mm512_storeu_si512(indices, _mm512_maskz_compress_epi32(lanes, index));
    _mm512_storeu_ps(kept, _mm512_maskz_compress_ps(lanes, values));
    return static_cast<size_t>(__builtin_popcount(mask));
  }
};

}  // namespace

extern const CodecLoops kAvx512Loops;
constexpr CodecLoops kAvx512Loops = LoopsOf<Avx512>("avx512");

}  // namespace ringmaster
