#include "worker/kernels/reference/ops.h"

namespace ringmaster::reference {

// output[p] = mean of input[p][0..pixels).
void Compute(const AveragePoolCall& call) {
  for (int64_t plane = 0; plane < call.planes; ++plane) {
    double sum = 0;
    for (int64_t i = 0; i < call.pixels; ++i) sum += call.input[plane * call.pixels + i];
    call.output[plane] = static_cast<float>(sum / static_cast<double>(call.pixels));
  }
}

// input_gradient[p][i] = output_gradient[p] / pixels.
void Compute(const AveragePoolBackwardCall& call) {
  for (int64_t i = 0; i < call.planes * call.pixels; ++i) {
    call.input_gradient[i] =
        call.output_gradient[i / call.pixels] / static_cast<float>(call.pixels);
  }
}

}  // namespace ringmaster::reference
