// bias_gradient = sums of gradient[rows, cols] over the rows (a bias by column) or along each row (by row).

#include "worker/kernels/cublas/launch.h"
#include "worker/kernels/cublas/launchers.h"

namespace ringmaster {
namespace {

constexpr int kTileCols = 32;
constexpr int kTileRows = kBlockThreads / kTileCols;

// A block sums 32 columns: each of its 8 rows of threads every 8th row of the matrix, then thread row 0 adds the eight.
__global__ void SumColumnsKernel(BiasGradientCall call) {
  __shared__ float partial[kTileRows][kTileCols];
  for (int64_t begin = blockIdx.x * static_cast<int64_t>(kTileCols); begin < call.cols;
       begin += gridDim.x * static_cast<int64_t>(kTileCols)) {
    const int64_t col = begin + threadIdx.x;
    float sum = 0.0f;
    if (col < call.cols) {
      for (int64_t row = threadIdx.y; row < call.rows; row += kTileRows) sum += call.gradient[row * call.cols + col];
    }
    partial[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y == 0 && col < call.cols) {
      for (int slice = 1; slice < kTileRows; ++slice) sum += partial[slice][threadIdx.x];
      call.bias_gradient[col] = sum;
    }
    __syncthreads();
  }
}

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
cudaError_t LaunchBiasGradient(const BiasGradientCall& call, cudaStream_t stream) {
  if (call.axis == BiasAxis::kPerColumn) {
    if (call.cols == 0) return cudaSuccess;
    const dim3 grid(static_cast<unsigned>(std::min(CeilDiv(call.cols, kTileCols), kGridBlocksMax)));
    SumColumnsKernel<<<grid, dim3(kTileCols, kTileRows), 0, stream>>>(call);
  } else {
    if (call.rows == 0) return cudaSuccess;
    const dim3 grid(static_cast<unsigned>(std::min(call.rows, kGridBlocksMax)));
    SumRowsKernel<<<grid, kBlockThreads, 0, stream>>>(call);
  }
  return cudaGetLastError();
}

}  // namespace ringmaster
