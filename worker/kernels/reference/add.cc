#include "worker/kernels/reference/ops.h"

namespace ringmaster::reference {

// output[i] += input[i].
void Compute(const AddCall& call) {
  for (int64_t i = 0; i < call.count; ++i) call.output[i] += call.input[i];
}

}  // namespace ringmaster::reference
