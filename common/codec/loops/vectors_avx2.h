#ifndef RINGMASTER_COMMON_CODEC_LOOPS_VECTORS_AVX2_H_
#define RINGMASTER_COMMON_CODEC_LOOPS_VECTORS_AVX2_H_

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <limits>

namespace ringmaster {

// What the codecs' loops ask of vectors of AVX2. vectors_avx512.h has the same members, with the
// same bits lane by lane. Nothing in memory needs to be aligned.
struct Avx2 {
  static constexpr size_t kLanes = 8;
  static constexpr size_t kDoubles = 4;
  using Floats = __m256;
  using Ints = __m256i;
  using Doubles = __m256d;
  using Mask = __m256i;  // all bits of a lane
  using SignWord = uint8_t;
  using PairWord = uint16_t;  // two bits a lane

  static Floats Load(const float* from) { return _mm256_loadu_ps(from); }
  static void Store(Floats values, float* to) { _mm256_storeu_ps(to, values); }
  static Floats Set(float value) { return _mm256_set1_ps(value); }
  static Floats Add(Floats a, Floats b) { return _mm256_add_ps(a, b); }
  static Floats Subtract(Floats a, Floats b) { return _mm256_sub_ps(a, b); }
  static Floats Multiply(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
  // Of numbers; of a NaN and a number the second.
  static Floats LargerFloats(Floats a, Floats b) { return _mm256_max_ps(a, b); }
  static Floats SmallerFloats(Floats a, Floats b) { return _mm256_min_ps(a, b); }

  static Floats LoadHalves(const std::byte* from) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
  }
  static void StoreHalves(Floats values, std::byte* to) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to),
                     _mm256_cvtps_ph(values, _MM_FROUND_TO_NEAREST_INT));
  }
  // Finite values into [-most, most]; infinities and NaNs pass (min and max return their second
  // operand for a NaN).
  static Floats Saturate(Floats values, float most) {
    const __m256 magnitude = _mm256_andnot_ps(_mm256_set1_ps(-0.0f), values);
    const __m256 infinite = _mm256_cmp_ps(
        magnitude, _mm256_set1_ps(std::numeric_limits<float>::infinity()), _CMP_EQ_OQ);
    const __m256 raised = _mm256_max_ps(_mm256_set1_ps(-most), values);
    return _mm256_blendv_ps(_mm256_min_ps(_mm256_set1_ps(most), raised), values, infinite);
  }

  static Ints Zero() { return _mm256_setzero_si256(); }
  static Ints SetInts(int32_t value) { return _mm256_set1_epi32(value); }
  // 0, 1, 2, ...
  static Ints Count() { return _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7); }
  static Ints Bits(Floats values) { return _mm256_castps_si256(values); }
  static Floats FloatsOf(Ints bits) { return _mm256_castsi256_ps(bits); }
  static Ints Magnitude(Floats values) {
    return _mm256_and_si256(_mm256_castps_si256(values), _mm256_set1_epi32(0x7FFFFFFF));
  }
  // To nearest even.
  static Ints Round(Floats values) { return _mm256_cvtps_epi32(values); }
  static Floats ToFloats(Ints values) { return _mm256_cvtepi32_ps(values); }
  static Ints AddInts(Ints a, Ints b) { return _mm256_add_epi32(a, b); }
  // The lower 32 bits.
  static Ints MultiplyInts(Ints a, Ints b) { return _mm256_mullo_epi32(a, b); }
  // Draws::Of for the second half: bytes 3, 0 and 1 of each lane.
  static Ints RotatedDraws(Ints words) {
    const __m256i order = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(3, 0, 1, -1, 7, 4, 5, -1, 11, 8, 9, -1, 15, 12, 13, -1));
    return _mm256_shuffle_epi8(words, order);
  }
  static Ints Larger(Ints a, Ints b) { return _mm256_max_epi32(a, b); }
  static int32_t LargestLane(Ints values) {
    __m128i most =
        _mm_max_epi32(_mm256_castsi256_si128(values), _mm256_extracti128_si256(values, 1));
    most = _mm_max_epi32(most, _mm_shuffle_epi32(most, 0b01'00'11'10));
    most = _mm_max_epi32(most, _mm_shuffle_epi32(most, 0b10'11'00'01));
    return _mm_cvtsi128_si32(most);
  }
  static Ints Smaller(Ints a, Ints b) { return _mm256_min_epi32(a, b); }
  static Ints And(Ints a, Ints b) { return _mm256_and_si256(a, b); }
  static Ints Or(Ints a, Ints b) { return _mm256_or_si256(a, b); }
  static Ints Xor(Ints a, Ints b) { return _mm256_xor_si256(a, b); }
  template <int kBits>
  static Ints Left(Ints values) {
    return _mm256_slli_epi32(values, kBits);
  }
  template <int kBits>
  static Ints Right(Ints values) {
    return _mm256_srli_epi32(values, kBits);
  }
  template <int kBits>
  static Ints RightSigned(Ints values) {
    return _mm256_srai_epi32(values, kBits);
  }

  static Mask IsAbove(Ints a, Ints b) { return _mm256_cmpgt_epi32(a, b); }
  static Ints Where(Mask mask, Ints then, Ints otherwise) {
    return _mm256_blendv_epi8(otherwise, then, mask);
  }
  static Floats Where(Mask mask, Floats then, Floats otherwise) {
    return _mm256_blendv_ps(otherwise, then, _mm256_castsi256_ps(mask));
  }
  // A bit for each lane.
  static uint32_t BitsOf(Mask mask) {
    return static_cast<uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(mask)));
  }
  static Mask MaskOf(uint32_t bits) {
    const __m256i lanes = _mm256_set_epi32(128, 64, 32, 16, 8, 4, 2, 1);
    return _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(bits), lanes), lanes);
  }
  static uint32_t Above(Ints magnitudes, Ints limit) { return BitsOf(IsAbove(magnitudes, limit)); }
  static uint32_t NotZero(Ints values) {
    return BitsOf(_mm256_cmpeq_epi32(values, Zero())) ^ 0xFFu;
  }
  static bool AllFinite(Ints magnitudes) { return Above(magnitudes, SetInts(0x7F7FFFFF)) == 0; }

  static uint32_t Signs(Floats values) { return static_cast<uint32_t>(_mm256_movemask_ps(values)); }
  static Floats WithSigns(uint32_t bits, Floats magnitude) {
    const __m256 negative = _mm256_castsi256_ps(MaskOf(bits));
    return _mm256_xor_ps(magnitude, _mm256_and_ps(negative, _mm256_set1_ps(-0.0f)));
  }
  // `table`: of four floats, repeated; lane i gets that of bits 2i and 2i + 1.
  static Floats LookUp(uint32_t bits, Floats table) {
    const __m256i shifts = _mm256_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14);
    return _mm256_permutevar_ps(table, _mm256_srlv_epi32(_mm256_set1_epi32(bits), shifts));
  }
  static Floats Repeat(const float four[4]) {
    return _mm256_broadcast_ps(reinterpret_cast<const __m128*>(four));
  }

  static Ints LoadBytes(const uint8_t* from) {
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)));
  }
  static Ints LoadCodes(const int8_t* from) {
    return _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)));
  }
  static Ints LoadWords(const std::byte* from) {
    return _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
  }
  // 16 bits of each lane, of which the others are 0.
  static void StoreWords(Ints values, std::byte* to) {
    const __m256i packed =
        _mm256_permute4x64_epi64(_mm256_packus_epi32(values, values), 0b00'00'10'00);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm256_castsi256_si128(packed));
  }
  // Lanes of -128 to 127: 4 * kLanes bytes.
  static void StoreCodes(const Ints (&values)[4], int8_t* to) {
    const __m256i packed = _mm256_packs_epi16(_mm256_packs_epi32(values[0], values[1]),
                                              _mm256_packs_epi32(values[2], values[3]));
    StoreFours(packed, to);
  }
  // Lanes of 0 to 255.
  static void StoreBytes(const Ints (&values)[4], uint8_t* to) {
    const __m256i packed = _mm256_packus_epi16(_mm256_packs_epi32(values[0], values[1]),
                                               _mm256_packs_epi32(values[2], values[3]));
    StoreFours(packed, to);
  }

  static Doubles ZeroDoubles() { return _mm256_setzero_pd(); }
  static Doubles Widen(const float* from) { return _mm256_cvtps_pd(_mm_loadu_ps(from)); }
  static Doubles Magnitudes(const float* from) {
    return _mm256_andnot_pd(_mm256_set1_pd(-0.0), Widen(from));
  }
  static Doubles AddDoubles(Doubles a, Doubles b) { return _mm256_add_pd(a, b); }
  // sum + a a, one rounding
  static Doubles AddSquares(Doubles a, Doubles sum) { return _mm256_fmadd_pd(a, a, sum); }
  // A NaN stays.
  static Doubles AtLeastZero(Doubles a) { return _mm256_max_pd(_mm256_setzero_pd(), a); }
  static Doubles AtMostZero(Doubles a) { return _mm256_min_pd(_mm256_setzero_pd(), a); }
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

 private:
  // Packing goes by halves of 128 bits.
  static void StoreFours(__m256i packed, void* to) {
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    _mm256_storeu_si256(static_cast<__m256i*>(to), _mm256_permutevar8x32_epi32(packed, order));
  }
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_LOOPS_VECTORS_AVX2_H_
