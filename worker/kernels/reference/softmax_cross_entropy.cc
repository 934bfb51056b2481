#include "worker/kernels/reference/ops.h"

#include <cmath>

namespace ringmaster::reference {

// Loss, hit and (unless null) scaled gradient of each row of logits[rows, classes].
void Compute(const SoftmaxCrossEntropyCall& call) {
  for (int64_t row = 0; row < call.rows; ++row) {
    const float* logits = call.logits + row * call.classes;
    const int32_t label = call.labels[row];
    int64_t largest = 0;
    for (int64_t i = 1; i < call.classes; ++i) {
      if (logits[i] > logits[largest]) largest = i;
    }
    const double shift = logits[largest];
    double sum = 0;
    for (int64_t i = 0; i < call.classes; ++i) sum += std::exp(logits[i] - shift);
    call.row_loss[row] = static_cast<float>(std::log(sum) - (logits[label] - shift));
    call.row_correct[row] = largest == label ? 1.0f : 0.0f;
    if (call.gradient == nullptr) continue;
    for (int64_t i = 0; i < call.classes; ++i) {
      const double probability = std::exp(logits[i] - shift) / sum;
      call.gradient[row * call.classes + i] =
          static_cast<float>((probability - (i == label ? 1.0 : 0.0)) * call.gradient_scale);
    }
  }
}

}  // namespace ringmaster::reference
