#include "worker/kernels/reference/ops.h"

namespace ringmaster::reference {

// data[i] = 0 > data[i] ? 0 : data[i]; in place, NaN stays.
void Compute(const ReluCall& call) {
  for (int64_t i = 0; i < call.count; ++i) {
    if (0.0f > call.data[i]) call.data[i] = 0.0f;
  }
}

}  // namespace ringmaster::reference
