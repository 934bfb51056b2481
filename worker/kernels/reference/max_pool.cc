#include "worker/kernels/reference/ops.h"

namespace ringmaster::reference {

// output[planes][height/2][width/2] = largest of each 2x2 window, argmax = its first position in
// the window.
void Compute(const MaxPoolCall& call) {
  float* output = call.output;
  uint8_t* argmax = call.argmax;
  for (int64_t row = 0; row < call.planes * call.height; row += 2) {
    for (int64_t col = 0; col < call.width; col += 2) {
      float best = call.input[row * call.width + col];
      uint8_t position = 0;
      for (uint8_t candidate = 1; candidate < 4; ++candidate) {
        const float value = call.input[(row + candidate / 2) * call.width + col + candidate % 2];
        if (value > best) {
          best = value;
          position = candidate;
        }
      }
      *output++ = best;
      *argmax++ = position;
    }
  }
}

}  // namespace ringmaster::reference
