#include "worker/kernels/cpu/ops.h"

namespace ringmaster::cpu {

// data[i] = 0 > data[i] ? 0 : data[i]; in place, NaN stays.
void Compute(const ReluCall& call) {
  float* data = call.data;
  for (int64_t i = 0; i < call.count; ++i) data[i] = 0.0f > data[i] ? 0.0f : data[i];
}

}  // namespace ringmaster::cpu
