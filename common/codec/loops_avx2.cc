#include <immintrin.h>

#include <limits>

#include "common/codec/loops_body.h"

namespace ringmaster {
namespace {

struct Avx2 {
  static constexpr size_t kLanes = 8;
  static constexpr size_t kDoubles = 4;
  using Floats = __m256;
  using Ints = __m256i;
  using Doubles = __m256d;
  using SignWord = uint8_t;

  static Floats Load(const float* from) { return _mm256_loadu_ps(from); }
  static void Store(Floats values, float* to) { _mm256_storeu_ps(to, values); }
  static Floats Set(float value) { return _mm256_set1_ps(value); }
  static Floats Add(Floats a, Floats b) { return _mm256_add_ps(a, b); }
  static Floats Subtract(Floats a, Floats b) { return _mm256_sub_ps(a, b); }

  static Floats LoadHalves(const std::byte* from) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
  }
  static void StoreHalves(Floats values, std::byte* to) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to),
                     _mm256_cvtps_ph(values, _MM_FROUND_TO_NEAREST_INT));
  }
  // Finite values into [-65504, 65504]; infinities and NaNs pass (min and max return their second
  // operand for a NaN).
  static Floats Saturate(Floats values) {
    const __m256 magnitude = _mm256_andnot_ps(_mm256_set1_ps(-0.0f), values);
    const __m256 infinite = _mm256_cmp_ps(
        magnitude, _mm256_set1_ps(std::numeric_limits<float>::infinity()), _CMP_EQ_OQ);
    const __m256 raised = _mm256_max_ps(_mm256_set1_ps(-kLargestHalf), values);
    return _mm256_blendv_ps(_mm256_min_ps(_mm256_set1_ps(kLargestHalf), raised), values, infinite);
  }

  static Ints Zero() { return _mm256_setzero_si256(); }
  static Ints SetInts(int32_t value) { return _mm256_set1_epi32(value); }
  static Ints Magnitude(Floats values) {
    return _mm256_and_si256(_mm256_castps_si256(values), _mm256_set1_epi32(0x7FFFFFFF));
  }
  static Ints Larger(Ints a, Ints b) { return _mm256_max_epi32(a, b); }
  static uint32_t Above(Ints magnitudes, Ints limit) {
    return static_cast<uint32_t>(
        _mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(magnitudes, limit))));
  }
  static bool AllFinite(Ints magnitudes) { return Above(magnitudes, SetInts(0x7F7FFFFF)) == 0; }

  static uint32_t Signs(Floats values) { return static_cast<uint32_t>(_mm256_movemask_ps(values)); }
  static Floats WithSigns(uint32_t bits, Floats magnitude) {
    const __m256i lanes = _mm256_set_epi32(128, 64, 32, 16, 8, 4, 2, 1);
    const __m256i negative =
        _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(bits), lanes), lanes);
    return _mm256_xor_ps(magnitude,
                         _mm256_and_ps(_mm256_castsi256_ps(negative), _mm256_set1_ps(-0.0f)));
  }

  static Doubles ZeroDoubles() { return _mm256_setzero_pd(); }
  static Doubles Magnitudes(const float* from) {
    return _mm256_andnot_pd(_mm256_set1_pd(-0.0), _mm256_cvtps_pd(_mm_loadu_ps(from)));
  }
  static Doubles AddDoubles(Doubles a, Doubles b) { return _mm256_add_pd(a, b); }
  static void StoreDoubles(Doubles values, double* to) { _mm256_storeu_pd(to, values); }

  static size_t Append(Floats values, int32_t first, uint32_t mask, int32_t* indices, float* kept) {
    alignas(32) float lanes[kLanes];
    _mm256_store_ps(lanes, values);
    size_t count = 0;
    for (; mask != 0; mask &= mask - 1, ++count) {
      const int lane = __builtin_ctz(mask);
      indices[count] = first + lane;
      kept[count] = lanes[lane];
    }
    return count;
  }
};

constexpr CodecLoops kLoops = LoopsOf<Avx2>("avx2");

}  // namespace

const CodecLoops& Avx2Loops() { return kLoops; }

}  // namespace ringmaster
