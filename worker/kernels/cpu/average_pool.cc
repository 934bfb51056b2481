#include <algorithm>

#include "worker/kernels/cpu/ops.h"
#include "worker/kernels/cpu/vectors.h"

namespace ringmaster::cpu {

// output[p] = mean of input[p][0..pixels).
void Compute(const AveragePoolCall& call) {
  for (int64_t plane = 0; plane < call.planes; ++plane) {
    call.output[plane] =
        Sum(call.pixels, call.input + plane * call.pixels) / static_cast<float>(call.pixels);
  }
}

// input_gradient[p][i] = output_gradient[p] / pixels.
void Compute(const AveragePoolBackwardCall& call) {
  for (int64_t plane = 0; plane < call.planes; ++plane) {
    std::fill_n(call.input_gradient + plane * call.pixels, call.pixels,
                call.output_gradient[plane] / static_cast<float>(call.pixels));
  }
}

}  // namespace ringmaster::cpu
