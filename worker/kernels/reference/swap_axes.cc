#include "worker/kernels/reference/ops.h"

namespace ringmaster::reference {

// output[outer_b][outer_a][inner] = input[outer_a][outer_b][inner].
void Compute(const SwapAxesCall& call) {
  for (int64_t a = 0; a < call.outer_a; ++a) {
    for (int64_t b = 0; b < call.outer_b; ++b) {
      for (int64_t i = 0; i < call.inner; ++i) {
        call.output[(b * call.outer_a + a) * call.inner + i] =
            call.input[(a * call.outer_b + b) * call.inner + i];
      }
    }
  }
}

}  // namespace ringmaster::reference
