#include <immintrin.h>

#include "worker/kernels/cpu/ops.h"
#include "worker/kernels/cpu/window.h"

namespace ringmaster::cpu {
namespace {

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

// to[i * stride] += from[i]
inline void AddStrided(const float* from, int64_t stride, float* to, int64_t count) {
  if (stride == 1) {
    AddRow(from, to, count);
  } else {
    for (int64_t i = 0; i < count; ++i) to[i * stride] += from[i];
  }
}

void AddPosition(const Col2ImCall& call, const KernelPosition& position, const float* columns) {
  const ConvShape& shape = call.shape;
  const int64_t oh = shape.out_height(), ow = shape.out_width();
  const int64_t shift_x = position.kx - shape.padding, shift_y = position.ky - shape.padding;
  const Range inside_x = OutputsInside(shift_x, shape.stride, shape.width, ow);
  const Range inside_y = OutputsInside(shift_y, shape.stride, shape.height, oh);
  if (inside_x.count == 0) return;
  for (int64_t image = 0; image < call.image_count; ++image) {
    const int64_t plane = position.channel * shape.images + call.image_begin + image;
    float* pixels = call.input_gradient + plane * shape.height * shape.width;
    for (int64_t y = inside_y.begin; y < inside_y.end(); ++y) {
      const int64_t in_y = y * shape.stride + shift_y,
                    in_x = inside_x.begin * shape.stride + shift_x;
      AddStrided(columns + (image * oh + y) * ow + inside_x.begin, shape.stride,
                 pixels + in_y * shape.width + in_x, inside_x.count);
    }
  }
}

}  // namespace

// input_gradient of the images in the range += columns, each pixel in the order of the kernel's
// positions. The images of one channel stay in the first cache while all positions are added to
// them.
void Compute(const Col2ImCall& call) {
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
