#include <cmath>

#include "worker/kernels/cpu/ops.h"

namespace ringmaster::cpu {
namespace {

// sum of exp(logits - shift), in double: a row has few classes, and the logarithm of a float sum would lose digits.
double SumOfExponentials(const float* logits, int64_t classes, float shift) {
  double sum = 0;
  for (int64_t i = 0; i < classes; ++i) sum += std::exp(logits[i] - shift);
  return sum;
}

int64_t FirstLargest(const float* logits, int64_t classes) {
  int64_t largest = 0;
  for (int64_t i = 1; i < classes; ++i) {
    if (logits[i] > logits[largest]) largest = i;
  }
  return largest;
}

}  // namespace

// Loss, hit and (unless null) scaled gradient of each row of logits[rows, classes].
void SoftmaxCrossEntropy(const SoftmaxCrossEntropyCall& call) {
  for (int64_t row = 0; row < call.rows; ++row) {
    const float* logits = call.logits + row * call.classes;
    const int32_t label = call.labels[row];
    const int64_t largest = FirstLargest(logits, call.classes);
    const float shift = logits[largest];
    const double sum = SumOfExponentials(logits, call.classes, shift);
    call.row_loss[row] = static_cast<float>(std::log(sum) - (static_cast<double>(logits[label]) - shift));
    call.row_correct[row] = largest == label ? 1.0f : 0.0f;
    if (call.gradient == nullptr) continue;
    float* gradient = call.gradient + row * call.classes;
    const float inverse = static_cast<float>(1.0 / sum);
    for (int64_t i = 0; i < call.classes; ++i) {
      const float probability = std::exp(logits[i] - shift) * inverse;
      gradient[i] = (probability - (i == label ? 1.0f : 0.0f)) * call.gradient_scale;
    }
  }
}

}  // namespace ringmaster::cpu
