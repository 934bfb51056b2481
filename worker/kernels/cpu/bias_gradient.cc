#include <immintrin.h>

#include "worker/kernels/cpu/ops.h"

namespace ringmaster::cpu {
namespace {

// The sum of values[count] in 32 lanes, each taking every 32nd value, joined pairwise at the end.
float SumRow(const float* values, int64_t count) {
  __m256 lanes[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps()};
  int64_t i = 0;
  for (; i + 32 <= count; i += 32) {
    for (int lane = 0; lane < 4; ++lane) {
      lanes[lane] = _mm256_add_ps(lanes[lane], _mm256_loadu_ps(values + i + 8 * lane));
    }
  }
  for (; i + 8 <= count; i += 8) lanes[0] = _mm256_add_ps(lanes[0], _mm256_loadu_ps(values + i));
  const __m256 eight = _mm256_add_ps(_mm256_add_ps(lanes[0], lanes[1]), _mm256_add_ps(lanes[2], lanes[3]));
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  float sum = _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
  for (; i < count; ++i) sum += values[i];
  return sum;
}

// sums[cols] = the rows added up, first to last.
void SumRowsTogether(const float* __restrict gradient, int64_t rows, int64_t cols, float* __restrict sums) {
  for (int64_t i = 0; i < cols; ++i) sums[i] = 0.0f;
  for (int64_t row = 0; row < rows; ++row) {
    const float* values = gradient + row * cols;
    for (int64_t i = 0; i < cols; ++i) sums[i] += values[i];
  }
}

}  // namespace

// bias_gradient[i] = sum of column or row i of gradient[rows, cols].
void BiasGradient(const BiasGradientCall& call) {
  if (call.axis == BiasAxis::kPerColumn) {
    SumRowsTogether(call.gradient, call.rows, call.cols, call.bias_gradient);
    return;
  }
  for (int64_t row = 0; row < call.rows; ++row) {
    call.bias_gradient[row] = SumRow(call.gradient + row * call.cols, call.cols);
  }
}

}  // namespace ringmaster::cpu
