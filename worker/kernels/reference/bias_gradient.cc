#include "worker/kernels/reference/ops.h"

namespace ringmaster::reference {

// bias_gradient[i] = sum of column or row i of gradient[rows, cols].
void Compute(const BiasGradientCall& call) {
  const bool per_column = call.axis == BiasAxis::kPerColumn;
  const int64_t count = per_column ? call.cols : call.rows;
  const int64_t terms = per_column ? call.rows : call.cols;
  for (int64_t i = 0; i < count; ++i) {
    double sum = 0;
    for (int64_t j = 0; j < terms; ++j)
      sum += call.gradient[per_column ? j * call.cols + i : i * call.cols + j];
    call.bias_gradient[i] = static_cast<float>(sum);
  }
}

}  // namespace ringmaster::reference
