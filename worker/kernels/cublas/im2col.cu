// columns[(c*k + ky)*k + kx][(i*oh + y)*ow + x] = input[c][image_begin + i][y*s + ky - p][x*s + kx
// - p], 0 outside (=).

#include "worker/kernels/cublas/launch.h"
#include "worker/kernels/cublas/launchers.h"

namespace ringmaster {
namespace {

// y runs over the rows of `columns` (channel and window position), x along a row (image and output
// position).
template <typename Index>
__global__ void Im2ColKernel(Im2ColCall call, int64_t out_height, int64_t out_width) {
  const ConvShape& shape = call.shape;
  const Index plane = static_cast<Index>(out_height * out_width);
  const Index width = static_cast<Index>(out_width);
  const Index row_length = static_cast<Index>(call.image_count) * plane;
  const int64_t rows = shape.channels * shape.kernel * shape.kernel;
  for (int64_t row = blockIdx.y; row < rows; row += gridDim.y) {
    const int64_t channel = row / (shape.kernel * shape.kernel);
    const int64_t offset_y = row / shape.kernel % shape.kernel - shape.padding;
    const int64_t offset_x = row % shape.kernel - shape.padding;
    const float* images =
        call.input + (channel * shape.images + call.image_begin) * shape.height * shape.width;
    for (Index col = static_cast<Index>(ThreadX()); col < row_length;
         col += static_cast<Index>(StrideX())) {
      const Index image = col / plane;
      const Index position = col - image * plane;
      const int64_t y = position / width * shape.stride + offset_y;
      const int64_t x = position % width * shape.stride + offset_x;
      const bool inside = y >= 0 && y < shape.height && x >= 0 && x < shape.width;
      call.columns[row * row_length + col] =
          inside ? images[(image * shape.height + y) * shape.width + x] : 0.0f;
    }
  }
}

}  // namespace

cudaError_t Launch(const Im2ColCall& call, const DeviceQueue& queue) {
  const int64_t out_height = call.shape.out_height(), out_width = call.shape.out_width();
  const int64_t rows = call.shape.channels * call.shape.kernel * call.shape.kernel;
  const int64_t row_length = call.image_count * out_height * out_width;
  if (rows == 0 || row_length == 0) return cudaSuccess;
  const dim3 grid = GridFor(rows, row_length);
  if (FitsInt32(row_length)) {
    Im2ColKernel<int32_t><<<grid, kBlockThreads, 0, queue.stream>>>(call, out_height, out_width);
  } else {
    Im2ColKernel<int64_t><<<grid, kBlockThreads, 0, queue.stream>>>(call, out_height, out_width);
  }
  return cudaGetLastError();
}

}  // namespace ringmaster
