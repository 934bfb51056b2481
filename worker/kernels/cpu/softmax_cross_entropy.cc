#include <cmath>

#include "worker/kernels/cpu/ops.h"
#include "worker/kernels/cpu/vectors.h"

namespace ringmaster::cpu {
namespace {

// sum of exp(logits - shift), in double: the logarithm of a float sum would lose the digits of a
// small loss.
double SumOfExponentials(const float* logits, int64_t classes, float shift) {
  const __m256 shifts = _mm256_set1_ps(shift);
  __m256d low = _mm256_setzero_pd(), high = _mm256_setzero_pd();
  for (int64_t i = 0; i < classes; i += 8) {
    const __m256i mask = FirstLanes(classes - i < 8 ? classes - i : 8);
    const __m256 all = Exp(_mm256_maskload_ps(logits + i, mask) - shifts);
    const __m256 terms = _mm256_and_ps(all, _mm256_castsi256_ps(mask));
    low = _mm256_add_pd(low, _mm256_cvtps_pd(_mm256_castps256_ps128(terms)));
    high = _mm256_add_pd(high, _mm256_cvtps_pd(_mm256_extractf128_ps(terms, 1)));
  }
  alignas(32) double lanes[4];
  _mm256_store_pd(lanes, _mm256_add_pd(low, high));
  return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
}

// As a scan for the first logit that no other exceeds; NaN exceeds nothing and, when first, is
// exceeded by nothing.
int64_t FirstLargest(const float* logits, int64_t classes) {
  if (std::isnan(logits[0])) return 0;
  const float largest = Largest(classes, logits);
  int64_t i = 0;
  while (logits[i] != largest) ++i;
  return i;
}

}  // namespace

// Loss, hit and (unless null) scaled gradient of each row of logits[rows, classes].
void Compute(const SoftmaxCrossEntropyCall& call) {
  for (int64_t row = 0; row < call.rows; ++row) {
    const float* logits = call.logits + row * call.classes;
    const int32_t label = call.labels[row];
    const int64_t largest = FirstLargest(logits, call.classes);
    const float shift = logits[largest];
    const double sum = SumOfExponentials(logits, call.classes, shift);
    call.row_loss[row] =
        static_cast<float>(std::log(sum) - (static_cast<double>(logits[label]) - shift));
    call.row_correct[row] = largest == label ? 1.0f : 0.0f;
    if (call.gradient == nullptr) continue;
    float* gradient = call.gradient + row * call.classes;
    const __m256 shifts = _mm256_set1_ps(shift),
                 inverse = _mm256_set1_ps(static_cast<float>(1.0 / sum));
    Map(
        call.classes, gradient, [=](__m256 logit) { return Exp(logit - shifts) * inverse; },
        logits);
    gradient[label] -= 1.0f;
    const __m256 scale = _mm256_set1_ps(call.gradient_scale);
    Map(
        call.classes, gradient, [=](__m256 difference) { return difference * scale; }, gradient);
  }
}

}  // namespace ringmaster::cpu
