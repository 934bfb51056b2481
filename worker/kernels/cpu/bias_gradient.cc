#include "worker/kernels/cpu/ops.h"
#include "worker/kernels/cpu/vectors.h"

namespace ringmaster::cpu {
namespace {

// sums[cols] = the rows added up, first to last.
void SumRowsTogether(const float* __restrict gradient, int64_t rows, int64_t cols,
                     float* __restrict sums) {
  for (int64_t i = 0; i < cols; ++i) sums[i] = 0.0f;
  for (int64_t row = 0; row < rows; ++row) {
    const float* values = gradient + row * cols;
    for (int64_t i = 0; i < cols; ++i) sums[i] += values[i];
  }
}

}  // namespace

// bias_gradient[i] = sum of column or row i of gradient[rows, cols].
void Compute(const BiasGradientCall& call) {
  if (call.axis == BiasAxis::kPerColumn) {
    SumRowsTogether(call.gradient, call.rows, call.cols, call.bias_gradient);
    return;
  }
  for (int64_t row = 0; row < call.rows; ++row) {
    call.bias_gradient[row] = Sum(call.cols, call.gradient + row * call.cols);
  }
}

}  // namespace ringmaster::cpu
