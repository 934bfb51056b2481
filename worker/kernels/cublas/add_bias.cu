// data[rows, cols] += bias, by column or by row, and relu after it where asked. In place.

#include "worker/kernels/cublas/launch.h"
#include "worker/kernels/cublas/launchers.h"

namespace ringmaster {
namespace {

__global__ void AddBiasKernel(BiasCall call) {
  const bool per_row = call.axis == BiasAxis::kPerRow;
  for (int64_t row = blockIdx.y; row < call.rows; row += gridDim.y) {
    float* data = call.data + row * call.cols;
    for (int64_t col = ThreadX(); col < call.cols; col += StrideX()) {
      const float value = data[col] + call.bias[per_row ? row : col];
      data[col] = call.relu && 0.0f > value ? 0.0f : value;  // a NaN stays one
    }
  }
}

}  // namespace

cudaError_t Launch(const BiasCall& call, const DeviceQueue& queue) {
  if (call.rows == 0 || call.cols == 0) return cudaSuccess;
  AddBiasKernel<<<GridFor(call.rows, call.cols), kBlockThreads, 0, queue.stream>>>(call);
  return cudaGetLastError();
}

}  // namespace ringmaster
