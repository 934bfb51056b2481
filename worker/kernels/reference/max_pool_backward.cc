#include "worker/kernels/reference/ops.h"

namespace ringmaster::reference {

// input_gradient[planes][height][width] = output_gradient where argmax points, 0 elsewhere.
void Compute(const MaxPoolBackwardCall& call) {
  const float* gradient = call.output_gradient;
  const uint8_t* argmax = call.argmax;
  for (int64_t row = 0; row < call.planes * call.height; row += 2) {
    for (int64_t col = 0; col < call.width; col += 2) {
      for (int position = 0; position < 4; ++position) {
        const int64_t at = (row + position / 2) * call.width + col + position % 2;
        call.input_gradient[at] = *argmax == position ? *gradient : 0.0f;
      }
      ++gradient;
      ++argmax;
    }
  }
}

}  // namespace ringmaster::reference
