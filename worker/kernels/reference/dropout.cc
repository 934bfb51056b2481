#include "worker/kernels/dropout_mask.h"
#include "worker/kernels/reference/ops.h"

namespace ringmaster::reference {

// data[i] = kept(seed, i) ? data[i] / (1 - rate) : 0; in place.
void Compute(const DropoutCall& call) {
  for (int64_t i = 0; i < call.count; ++i) {
    const bool kept = DropoutKeeps(call.seed, static_cast<uint64_t>(i), call.rate);
    call.data[i] = kept ? call.data[i] / (1.0f - call.rate) : 0.0f;
  }
}

}  // namespace ringmaster::reference
