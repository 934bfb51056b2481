#include "worker/kernels/reference/ops.h"

namespace ringmaster::reference {

// gradient[i] = output[i] > 0 ? gradient[i] : 0; in place.
void Compute(const ReluBackwardCall& call) {
  for (int64_t i = 0; i < call.count; ++i) {
    if (!(call.output[i] > 0.0f)) call.gradient[i] = 0.0f;
  }
}

}  // namespace ringmaster::reference
