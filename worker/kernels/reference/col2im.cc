#include "worker/kernels/reference/ops.h"

namespace ringmaster::reference {

// input_gradient of the images in the range += columns, each element at the pixel im2col would take
// it from. The sum of one pixel is made in double and added once.
void Compute(const Col2ImCall& call) {
  const ConvShape& shape = call.shape;
  const int64_t oh = shape.out_height(), ow = shape.out_width();
  const int64_t row_length = call.image_count * oh * ow;
  for (int64_t channel = 0; channel < shape.channels; ++channel) {
    for (int64_t image = 0; image < call.image_count; ++image) {
      for (int64_t in_y = 0; in_y < shape.height; ++in_y) {
        for (int64_t in_x = 0; in_x < shape.width; ++in_x) {
          const int64_t plane = channel * shape.images + call.image_begin + image;
          float& pixel = call.input_gradient[(plane * shape.height + in_y) * shape.width + in_x];
          double sum = pixel;
          for (int64_t ky = 0; ky < shape.kernel; ++ky) {
            for (int64_t kx = 0; kx < shape.kernel; ++kx) {
              const int64_t from_y = in_y - ky + shape.padding;
              const int64_t from_x = in_x - kx + shape.padding;
              if (from_y % shape.stride != 0 || from_x % shape.stride != 0) continue;
              const int64_t y = from_y / shape.stride, x = from_x / shape.stride;
              if (from_y < 0 || y >= oh || from_x < 0 || x >= ow) continue;
              const int64_t row = (channel * shape.kernel + ky) * shape.kernel + kx;
              sum += call.columns[row * row_length + (image * oh + y) * ow + x];
            }
          }
          pixel = static_cast<float>(sum);
        }
      }
    }
  }
}

}  // namespace ringmaster::reference
