// bias_gradient = sums of gradient[rows, cols] over the rows (a bias by column) or along each row
// (by row).

#include "worker/kernels/cublas/column_sums.h"
#include "worker/kernels/cublas/launch.h"
#include "worker/kernels/cublas/launchers.h"

namespace ringmaster {
namespace {

struct BiasTerms {
  BiasGradientCall call;
  __device__ void operator()(int64_t row, int64_t col, float (&values)[1]) const {
    values[0] = call.gradient[row * call.cols + col];
  }
};

// A block sums one row: each thread every 256th element, then a tree.
__global__ void SumRowsKernel(BiasGradientCall call) {
  __shared__ float partial[kBlockThreads];
  for (int64_t row = blockIdx.x; row < call.rows; row += gridDim.x) {
    const float* gradient = call.gradient + row * call.cols;
    float sum = 0.0f;
    for (int64_t col = threadIdx.x; col < call.cols; col += kBlockThreads) sum += gradient[col];
    partial[threadIdx.x] = sum;
    __syncthreads();
    for (unsigned width = kBlockThreads / 2; width > 0; width /= 2) {
      if (threadIdx.x < width) partial[threadIdx.x] += partial[threadIdx.x + width];
      __syncthreads();
    }
    if (threadIdx.x == 0) call.bias_gradient[row] = partial[0];
    __syncthreads();
  }
}

}  // namespace

// An empty sum is 0, so only an empty result launches nothing.
cudaError_t Launch(const BiasGradientCall& call, const DeviceQueue& queue) {
  if (call.axis == BiasAxis::kPerColumn) {
    if (call.cols == 0) return cudaSuccess;
    return LaunchColumnSums<1>(BiasTerms{call}, call.rows, call.cols, {{call.bias_gradient}},
                               queue.partials, queue.stream);
  }
  if (call.rows == 0) return cudaSuccess;
  const dim3 grid(static_cast<unsigned>(std::min(call.rows, kGridBlocksMax)));
  SumRowsKernel<<<grid, kBlockThreads, 0, queue.stream>>>(call);
  return cudaGetLastError();
}

}  // namespace ringmaster
