#include "worker/kernels/cpu/ops.h"

namespace ringmaster::cpu {
namespace {

// values[cols] += bias[cols], then relu if asked.
template <bool kRelu>
void AddVector(const float* __restrict bias, float* __restrict values, int64_t cols) {
  for (int64_t i = 0; i < cols; ++i) {
    const float value = values[i] + bias[i];
    values[i] = kRelu && 0.0f > value ? 0.0f : value;
  }
}

// values[cols] += bias, then relu if asked.
template <bool kRelu>
void AddScalar(float bias, float* values, int64_t cols) {
  for (int64_t i = 0; i < cols; ++i) {
    const float value = values[i] + bias;
    values[i] = kRelu && 0.0f > value ? 0.0f : value;
  }
}

template <bool kRelu>
void AddToRows(const BiasCall& call) {
  for (int64_t row = 0; row < call.rows; ++row) {
    float* values = call.data + row * call.cols;
    if (call.axis == BiasAxis::kPerColumn) {
      AddVector<kRelu>(call.bias, values, call.cols);
    } else {
      AddScalar<kRelu>(call.bias[row], values, call.cols);
    }
  }
}

}  // namespace

// data[rows, cols] += bias of the column or row, then relu if asked; one pass, in place.
void Compute(const BiasCall& call) {
  if (call.relu) {
    AddToRows<true>(call);
  } else {
    AddToRows<false>(call);
  }
}

}  // namespace ringmaster::cpu
