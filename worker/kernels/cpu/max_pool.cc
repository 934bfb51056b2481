#include <immintrin.h>

#include <cstring>

#include "worker/kernels/cpu/ops.h"

namespace ringmaster::cpu {
namespace {

// Takes the candidates that are larger than the best so far.
inline void TakeLarger(__m128 candidate, int position, __m128* best, __m128i* argmax) {
  const __m128 larger = _mm_cmpgt_ps(candidate, *best);
  *best = _mm_blendv_ps(*best, candidate, larger);
  *argmax = _mm_blendv_epi8(*argmax, _mm_set1_epi32(position), _mm_castps_si128(larger));
}

// Four windows side by side: 8 pixels of two rows each.
inline void PoolFour(const float* upper, const float* lower, float* output, uint8_t* argmax) {
  const __m128 upper_a = _mm_loadu_ps(upper), upper_b = _mm_loadu_ps(upper + 4);
  const __m128 lower_a = _mm_loadu_ps(lower), lower_b = _mm_loadu_ps(lower + 4);
  __m128 best = _mm_shuffle_ps(upper_a, upper_b, 0x88);
  __m128i at = _mm_setzero_si128();
  TakeLarger(_mm_shuffle_ps(upper_a, upper_b, 0xDD), 1, &best, &at);
  TakeLarger(_mm_shuffle_ps(lower_a, lower_b, 0x88), 2, &best, &at);
  TakeLarger(_mm_shuffle_ps(lower_a, lower_b, 0xDD), 3, &best, &at);
  _mm_storeu_ps(output, best);
  const __m128i low_bytes =
      _mm_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
  const int packed = _mm_cvtsi128_si32(_mm_shuffle_epi8(at, low_bytes));
  std::memcpy(argmax, &packed, sizeof(packed));
}

inline void PoolOne(const float* upper, const float* lower, float* output, uint8_t* argmax) {
  const float candidates[4] = {upper[0], upper[1], lower[0], lower[1]};
  uint8_t best = 0;
  for (uint8_t i = 1; i < 4; ++i) {
    if (candidates[i] > candidates[best]) best = i;
  }
  *output = candidates[best];
  *argmax = best;
}

}  // namespace

// output[planes][height/2][width/2] = largest of each 2x2 window, argmax = its first position in
// the window.
void Compute(const MaxPoolCall& call) {
  const int64_t out_width = call.width / 2;
  const int64_t out_rows = call.planes * (call.height / 2);
  for (int64_t row = 0; row < out_rows; ++row) {
    const float* upper = call.input + 2 * row * call.width;
    const float* lower = upper + call.width;
    float* output = call.output + row * out_width;
    uint8_t* argmax = call.argmax + row * out_width;
    int64_t col = 0;
    for (; col + 4 <= out_width; col += 4)
      PoolFour(upper + 2 * col, lower + 2 * col, output + col, argmax + col);
    for (; col < out_width; ++col)
      PoolOne(upper + 2 * col, lower + 2 * col, output + col, argmax + col);
  }
}

}  // namespace ringmaster::cpu
