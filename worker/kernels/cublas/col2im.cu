// input_gradient[c][image_begin + i][y][x] += the sum of the elements of `columns` that im2col
// copied from there.

#include "worker/kernels/cublas/launch.h"
#include "worker/kernels/cublas/launchers.h"

namespace ringmaster {
namespace {

// Each thread owns one input pixel and gathers, so no two threads add to one place. y runs over the
// channels, x over the pixels of the images in the range, which lie side by side.
template <typename Index>
__global__ void Col2ImKernel(Col2ImCall call, int64_t out_height, int64_t out_width) {
  const ConvShape& shape = call.shape;
  const Index plane = static_cast<Index>(shape.height * shape.width);
  const Index width = static_cast<Index>(shape.width);
  const Index pixels = static_cast<Index>(call.image_count) * plane;
  const int64_t row_length = call.image_count * out_height * out_width;
  for (int64_t channel = blockIdx.y; channel < shape.channels; channel += gridDim.y) {
    const float* columns = call.columns + channel * shape.kernel * shape.kernel * row_length;
    float* gradient = call.input_gradient +
                      (channel * shape.images + call.image_begin) * shape.height * shape.width;
    for (Index pixel = static_cast<Index>(ThreadX()); pixel < pixels;
         pixel += static_cast<Index>(StrideX())) {
      const Index image = pixel / plane;
      const Index position = pixel - image * plane;
      const int64_t padded_y = position / width + shape.padding;
      const int64_t padded_x = position % width + shape.padding;
      // Window row y covers the pixel with its row ky when y * stride + ky = padded_y, so ky steps
      // by the stride.
      float sum = 0.0f;
      int64_t y = padded_y / shape.stride;
      for (int64_t ky = padded_y - y * shape.stride; ky < shape.kernel && y >= 0;
           ky += shape.stride, --y) {
        if (y >= out_height) continue;
        int64_t x = padded_x / shape.stride;
        for (int64_t kx = padded_x - x * shape.stride; kx < shape.kernel && x >= 0;
             kx += shape.stride, --x) {
          if (x >= out_width) continue;
          sum += columns[(ky * shape.kernel + kx) * row_length +
                         (image * out_height + y) * out_width + x];
        }
      }
      gradient[pixel] += sum;
    }
  }
}

}  // namespace

cudaError_t Launch(const Col2ImCall& call, const DeviceQueue& queue) {
  const int64_t out_height = call.shape.out_height(), out_width = call.shape.out_width();
  const int64_t pixels = call.image_count * call.shape.height * call.shape.width;
  if (call.shape.channels == 0 || pixels == 0) return cudaSuccess;
  const dim3 grid = GridFor(call.shape.channels, pixels);
  if (FitsInt32(pixels)) {
    Col2ImKernel<int32_t><<<grid, kBlockThreads, 0, queue.stream>>>(call, out_height, out_width);
  } else {
    Col2ImKernel<int64_t><<<grid, kBlockThreads, 0, queue.stream>>>(call, out_height, out_width);
  }
  return cudaGetLastError();
}

}  // namespace ringmaster
