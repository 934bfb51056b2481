#include "worker/kernels/reference/ops.h"

namespace ringmaster::reference {

// columns[channels * kernel * kernel][image_count * oh * ow] = the windows of the images in the
// range; 0 outside.
void Compute(const Im2ColCall& call) {
  const ConvShape& shape = call.shape;
  float* out = call.columns;
  for (int64_t channel = 0; channel < shape.channels; ++channel) {
    for (int64_t ky = 0; ky < shape.kernel; ++ky) {
      for (int64_t kx = 0; kx < shape.kernel; ++kx) {
        for (int64_t image = call.image_begin; image < call.image_begin + call.image_count;
             ++image) {
          for (int64_t y = 0; y < shape.out_height(); ++y) {
            for (int64_t x = 0; x < shape.out_width(); ++x) {
              const int64_t in_y = y * shape.stride + ky - shape.padding;
              const int64_t in_x = x * shape.stride + kx - shape.padding;
              const bool inside =
                  in_y >= 0 && in_y < shape.height && in_x >= 0 && in_x < shape.width;
              const int64_t row = (channel * shape.images + image) * shape.height + in_y;
              *out++ = inside ? call.input[row * shape.width + in_x] : 0.0f;
            }
          }
        }
      }
    }
  }
}

}  // namespace ringmaster::reference
