#include "worker/kernels/reference/ops.h"

namespace ringmaster::reference {

// data[rows, cols] += bias of the column or row, then relu if asked; in place.
void Compute(const BiasCall& call) {
  for (int64_t row = 0; row < call.rows; ++row) {
    for (int64_t col = 0; col < call.cols; ++col) {
      float& value = call.data[row * call.cols + col];
      value += call.bias[call.axis == BiasAxis::kPerColumn ? col : row];
      if (call.relu && 0.0f > value) value = 0.0f;
    }
  }
}

}  // namespace ringmaster::reference
