#include <immintrin.h>

#include <algorithm>

#include "worker/kernels/cpu/ops.h"

namespace ringmaster::cpu {
namespace {

// One position of the kernel, as in im2col.
struct Position {
  int64_t channel, ky, kx;
};

// to[i] += from[i]
inline void AddRow(const float* from, float* to, int64_t count) {
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    _mm256_storeu_ps(to + i, _mm256_add_ps(_mm256_loadu_ps(to + i), _mm256_loadu_ps(from + i)));
  }
  if (i + 4 <= count) {
    _mm_storeu_ps(to + i, _mm_add_ps(_mm_loadu_ps(to + i), _mm_loadu_ps(from + i)));
    i += 4;
  }
  for (; i < count; ++i) to[i] += from[i];
}

void AddPosition(const Col2ImCall& call, const Position& position, const float* columns) {
  const ConvShape& shape = call.shape;
  const int64_t oh = shape.out_height(), ow = shape.out_width();
  const int64_t shift_x = position.kx - shape.padding, shift_y = position.ky - shape.padding;
  // Output rows and columns that look inside the image; the rest came from padding.
  const int64_t x_begin = std::clamp<int64_t>(-shift_x, 0, ow);
  const int64_t x_end = std::clamp<int64_t>(shape.width - shift_x, x_begin, ow);
  const int64_t y_begin = std::clamp<int64_t>(-shift_y, 0, oh);
  const int64_t y_end = std::clamp<int64_t>(shape.height - shift_y, y_begin, oh);
  for (int64_t image = 0; image < call.image_count; ++image) {
    const int64_t plane = position.channel * shape.images + call.image_begin + image;
    float* pixels = call.input_gradient + plane * shape.height * shape.width;
    for (int64_t y = y_begin; y < y_end; ++y) {
      AddRow(columns + (image * oh + y) * ow + x_begin, pixels + (y + shift_y) * shape.width + x_begin + shift_x,
             x_end - x_begin);
    }
  }
}

}  // namespace

// input_gradient of the images in the range += columns, each pixel in the order of the kernel's positions. The images
// of one channel stay in the first cache while all positions are added to them.
void Col2Im(const Col2ImCall& call) {
  const ConvShape& shape = call.shape;
  const int64_t row_length = call.image_count * shape.out_height() * shape.out_width();
  const float* columns = call.columns;
  for (int64_t channel = 0; channel < shape.channels; ++channel) {
    for (int64_t ky = 0; ky < shape.kernel; ++ky) {
      for (int64_t kx = 0; kx < shape.kernel; ++kx, columns += row_length) {
        AddPosition(call, {channel, ky, kx}, columns);
      }
    }
  }
}

}  // namespace ringmaster::cpu
