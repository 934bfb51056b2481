#include <immintrin.h>

#include <cstring>

#include "worker/kernels/cpu/ops.h"

namespace ringmaster::cpu {
namespace {

// The gradients whose argmax is `position`, 0 elsewhere.
inline __m128 Keep(__m128 gradient, __m128i argmax, int position) {
  const __m128i here = _mm_cmpeq_epi32(argmax, _mm_set1_epi32(position));
  return _mm_and_ps(gradient, _mm_castsi128_ps(here));
}

// Four windows side by side: 8 pixels of two rows each.
inline void SpreadFour(const float* output_gradient, const uint8_t* argmax, float* upper,
                       float* lower) {
  const __m128 gradient = _mm_loadu_ps(output_gradient);
  int packed;
  std::memcpy(&packed, argmax, sizeof(packed));
  const __m128i at = _mm_cvtepu8_epi32(_mm_cvtsi32_si128(packed));
  const __m128 p0 = Keep(gradient, at, 0), p1 = Keep(gradient, at, 1);
  const __m128 p2 = Keep(gradient, at, 2), p3 = Keep(gradient, at, 3);
  _mm_storeu_ps(upper, _mm_unpacklo_ps(p0, p1));
  _mm_storeu_ps(upper + 4, _mm_unpackhi_ps(p0, p1));
  _mm_storeu_ps(lower, _mm_unpacklo_ps(p2, p3));
  _mm_storeu_ps(lower + 4, _mm_unpackhi_ps(p2, p3));
}

inline void SpreadOne(float gradient, uint8_t argmax, float* upper, float* lower) {
  upper[0] = argmax == 0 ? gradient : 0.0f;
  upper[1] = argmax == 1 ? gradient : 0.0f;
  lower[0] = argmax == 2 ? gradient : 0.0f;
  lower[1] = argmax == 3 ? gradient : 0.0f;
}

}  // namespace

// input_gradient[planes][height][width] = output_gradient where argmax points, 0 elsewhere.
void Compute(const MaxPoolBackwardCall& call) {
  const int64_t out_width = call.width / 2;
  const int64_t out_rows = call.planes * (call.height / 2);
  for (int64_t row = 0; row < out_rows; ++row) {
    float* upper = call.input_gradient + 2 * row * call.width;
    float* lower = upper + call.width;
    const float* gradient = call.output_gradient + row * out_width;
    const uint8_t* argmax = call.argmax + row * out_width;
    int64_t col = 0;
    for (; col + 4 <= out_width; col += 4)
      SpreadFour(gradient + col, argmax + col, upper + 2 * col, lower + 2 * col);
    for (; col < out_width; ++col)
      SpreadOne(gradient[col], argmax[col], upper + 2 * col, lower + 2 * col);
  }
}

}  // namespace ringmaster::cpu
