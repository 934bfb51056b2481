#include <algorithm>

#include "worker/kernels/cpu/copy_row.h"
#include "worker/kernels/cpu/ops.h"

namespace ringmaster::cpu {
namespace {

// One position of the kernel: all windows of the images in the range, out_height rows an image.
struct Position {
  int64_t channel, ky, kx;
};

void CopyPosition(const Im2ColCall& call, const Position& position, float* out) {
  const ConvShape& shape = call.shape;
  const int64_t oh = shape.out_height(), ow = shape.out_width();
  // Output columns [x_begin, x_end) look inside the image; the rest is padding.
  const int64_t shift = position.kx - shape.padding;
  const int64_t x_begin = std::clamp<int64_t>(-shift, 0, ow);
  const int64_t x_end = std::clamp<int64_t>(shape.width - shift, x_begin, ow);
  for (int64_t image = 0; image < call.image_count; ++image) {
    const int64_t plane = position.channel * shape.images + call.image_begin + image;
    const float* pixels = call.input + plane * shape.height * shape.width;
    for (int64_t y = 0; y < oh; ++y, out += ow) {
      const int64_t in_y = y + position.ky - shape.padding;
      if (in_y < 0 || in_y >= shape.height) {
        std::fill_n(out, ow, 0.0f);
        continue;
      }
      for (int64_t x = 0; x < x_begin; ++x) out[x] = 0.0f;
      CopyRow(pixels + in_y * shape.width + x_begin + shift, out + x_begin, x_end - x_begin);
      for (int64_t x = x_end; x < ow; ++x) out[x] = 0.0f;
    }
  }
}

}  // namespace

// columns[channels * kernel * kernel][image_count * oh * ow] = the windows of the images in the range; 0 outside.
void Im2Col(const Im2ColCall& call) {
  const ConvShape& shape = call.shape;
  const int64_t row_length = call.image_count * shape.out_height() * shape.out_width();
  float* out = call.columns;
  for (int64_t channel = 0; channel < shape.channels; ++channel) {
    for (int64_t ky = 0; ky < shape.kernel; ++ky) {
      for (int64_t kx = 0; kx < shape.kernel; ++kx, out += row_length) CopyPosition(call, {channel, ky, kx}, out);
    }
  }
}

}  // namespace ringmaster::cpu
