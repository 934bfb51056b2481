#include "worker/kernels/cpu/ops.h"

namespace ringmaster::cpu {

// gradient[i] = output[i] > 0 ? gradient[i] : 0; in place.
void Compute(const ReluBackwardCall& call) {
  const float* __restrict output = call.output;
  float* __restrict gradient = call.gradient;
  for (int64_t i = 0; i < call.count; ++i) gradient[i] = output[i] > 0.0f ? gradient[i] : 0.0f;
}

}  // namespace ringmaster::cpu
