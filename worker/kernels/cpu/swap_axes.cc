#include "worker/kernels/cpu/copy_row.h"
#include "worker/kernels/cpu/ops.h"

namespace ringmaster::cpu {

// output[outer_b][outer_a][inner] = input[outer_a][outer_b][inner]; writes in order, reads with a
// stride.
void Compute(const SwapAxesCall& call) {
  float* output = call.output;
  for (int64_t b = 0; b < call.outer_b; ++b) {
    const float* input = call.input + b * call.inner;
    for (int64_t a = 0; a < call.outer_a; ++a) {
      CopyRow(input, output, call.inner);
      input += call.outer_b * call.inner;
      output += call.inner;
    }
  }
}

}  // namespace ringmaster::cpu
