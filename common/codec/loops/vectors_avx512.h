#ifndef RINGMASTER_COMMON_CODEC_LOOPS_VECTORS_AVX512_H_
#define RINGMASTER_COMMON_CODEC_LOOPS_VECTORS_AVX512_H_

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace ringmaster {

// As vectors_avx2.h. Only files that are compiled for AVX-512 (F, BW, DQ, VL) may include it, after
// everything else.
struct Avx512 {
  static constexpr size_t kLanes = 16;
  static constexpr size_t kDoubles = 8;
  using Floats = __m512;
  using Ints = __m512i;
  using Doubles = __m512d;
  using Mask = __mmask16;
  using SignWord = uint16_t;
  using PairWord = uint32_t;

  static Floats Load(const float* from) { return _mm512_loadu_ps(from); }
  static void Store(Floats values, float* to) { _mm512_storeu_ps(to, values); }
  static Floats Set(float value) { return _mm512_set1_ps(value); }
  static Floats Add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
  static Floats Subtract(Floats a, Floats b) { return _mm512_sub_ps(a, b); }
  static Floats Multiply(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
  static Floats LargerFloats(Floats a, Floats b) { return _mm512_max_ps(a, b); }
  static Floats SmallerFloats(Floats a, Floats b) { return _mm512_min_ps(a, b); }

  static Floats LoadHalves(const std::byte* from) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
  }
  static void StoreHalves(Floats values, std::byte* to) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to),
                        _mm512_cvtps_ph(values, _MM_FROUND_TO_NEAREST_INT));
  }
  static Floats Saturate(Floats values, float most) {
    const __mmask16 finite =
        _mm512_cmpgt_epi32_mask(_mm512_set1_epi32(0x7F800000), Magnitude(values));
    const __m512 raised = _mm512_mask_max_ps(values, finite, _mm512_set1_ps(-most), values);
    return _mm512_mask_min_ps(values, finite, _mm512_set1_ps(most), raised);
  }

  static Ints Zero() { return _mm512_setzero_si512(); }
  static Ints SetInts(int32_t value) { return _mm512_set1_epi32(value); }
  static Ints Count() {
    return _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  }
  static Ints Bits(Floats values) { return _mm512_castps_si512(values); }
  static Floats FloatsOf(Ints bits) { return _mm512_castsi512_ps(bits); }
  static Ints Magnitude(Floats values) {
    return _mm512_and_si512(_mm512_castps_si512(values), _mm512_set1_epi32(0x7FFFFFFF));
  }
  static Ints Round(Floats values) { return _mm512_cvtps_epi32(values); }
  static Floats ToFloats(Ints values) { return _mm512_cvtepi32_ps(values); }
  static Ints AddInts(Ints a, Ints b) { return _mm512_add_epi32(a, b); }
  static Ints MultiplyInts(Ints a, Ints b) { return _mm512_mullo_epi32(a, b); }
  static Ints RotatedDraws(Ints words) {
    const __m512i order = _mm512_broadcast_i32x4(
        _mm_setr_epi8(3, 0, 1, -1, 7, 4, 5, -1, 11, 8, 9, -1, 15, 12, 13, -1));
    return _mm512_shuffle_epi8(words, order);
  }
  static Ints Larger(Ints a, Ints b) { return _mm512_max_epi32(a, b); }
  static int32_t LargestLane(Ints values) { return _mm512_reduce_max_epi32(values); }
  static Ints Smaller(Ints a, Ints b) { return _mm512_min_epi32(a, b); }
  static Ints And(Ints a, Ints b) { return _mm512_and_si512(a, b); }
  static Ints Or(Ints a, Ints b) { return _mm512_or_si512(a, b); }
  static Ints Xor(Ints a, Ints b) { return _mm512_xor_si512(a, b); }
  template <int kBits>
  static Ints Left(Ints values) {
    return _mm512_slli_epi32(values, kBits);
  }
  template <int kBits>
  static Ints Right(Ints values) {
    return _mm512_srli_epi32(values, kBits);
  }
  template <int kBits>
  static Ints RightSigned(Ints values) {
    return _mm512_srai_epi32(values, kBits);
  }

  static Mask IsAbove(Ints a, Ints b) { return _mm512_cmpgt_epi32_mask(a, b); }
  static Ints Where(Mask mask, Ints then, Ints otherwise) {
    return _mm512_mask_mov_epi32(otherwise, mask, then);
  }
  static Floats Where(Mask mask, Floats then, Floats otherwise) {
    return _mm512_mask_mov_ps(otherwise, mask, then);
  }
  static uint32_t BitsOf(Mask mask) { return mask; }
  static Mask MaskOf(uint32_t bits) { return static_cast<__mmask16>(bits); }
  static uint32_t Above(Ints magnitudes, Ints limit) { return IsAbove(magnitudes, limit); }
  static uint32_t NotZero(Ints values) { return _mm512_test_epi32_mask(values, values); }
  static bool AllFinite(Ints magnitudes) { return Above(magnitudes, SetInts(0x7F7FFFFF)) == 0; }

  static uint32_t Signs(Floats values) { return _mm512_movepi32_mask(_mm512_castps_si512(values)); }
  static Floats WithSigns(uint32_t bits, Floats magnitude) {
    return _mm512_mask_xor_ps(magnitude, static_cast<__mmask16>(bits), magnitude,
                              _mm512_set1_ps(-0.0f));
  }
  static Floats LookUp(uint32_t bits, Floats table) {
    const __m512i shifts =
        _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    return _mm512_permutevar_ps(table, _mm512_srlv_epi32(_mm512_set1_epi32(bits), shifts));
  }
  static Floats Repeat(const float four[4]) { return _mm512_broadcast_f32x4(_mm_loadu_ps(four)); }

  static Ints LoadBytes(const uint8_t* from) {
    return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
  }
  static Ints LoadCodes(const int8_t* from) {
    return _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
  }
  static Ints LoadWords(const std::byte* from) {
    return _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
  }
  static void StoreWords(Ints values, std::byte* to) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtepi32_epi16(values));
  }
  static void StoreCodes(const Ints (&values)[4], int8_t* to) {
    StoreFours(_mm512_packs_epi16(_mm512_packs_epi32(values[0], values[1]),
                                  _mm512_packs_epi32(values[2], values[3])),
               to);
  }
  static void StoreBytes(const Ints (&values)[4], uint8_t* to) {
    StoreFours(_mm512_packus_epi16(_mm512_packs_epi32(values[0], values[1]),
                                   _mm512_packs_epi32(values[2], values[3])),
               to);
  }

  static Doubles ZeroDoubles() { return _mm512_setzero_pd(); }
  static Doubles Widen(const float* from) { return _mm512_cvtps_pd(_mm256_loadu_ps(from)); }
  static Doubles Magnitudes(const float* from) { return _mm512_abs_pd(Widen(from)); }
  static Doubles AddDoubles(Doubles a, Doubles b) { return _mm512_add_pd(a, b); }
  static Doubles AddSquares(Doubles a, Doubles sum) { return _mm512_fmadd_pd(a, a, sum); }
  static Doubles AtLeastZero(Doubles a) { return _mm512_max_pd(_mm512_setzero_pd(), a); }
  static Doubles AtMostZero(Doubles a) { return _mm512_min_pd(_mm512_setzero_pd(), a); }
  static void StoreDoubles(Doubles values, double* to) { _mm512_storeu_pd(to, values); }

  // Whole vectors are written, compressed in a register: a compressing store is many times slower
  // on some machines.
  static size_t Append(Floats values, int32_t first, uint32_t mask, int32_t* indices, float* kept) {
    const __mmask16 lanes = static_cast<__mmask16>(mask);
    const __m512i index = _mm512_add_epi32(_mm512_set1_epi32(first), Count());
    _mm512_storeu_si512(indices, _mm512_maskz_compress_epi32(lanes, index));
    _mm512_storeu_ps(kept, _mm512_maskz_compress_ps(lanes, values));
    return static_cast<size_t>(__builtin_popcount(mask));
  }

 private:
  static void StoreFours(__m512i packed, void* to) {
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    _mm512_storeu_si512(to, _mm512_permutexvar_epi32(order, packed));
  }
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_LOOPS_VECTORS_AVX512_H_
