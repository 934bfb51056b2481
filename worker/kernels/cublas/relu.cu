// data[i] = 0 > data[i] ? 0 : data[i]. In place.

#include "worker/kernels/cublas/launchers.h"
#include "worker/kernels/cublas/quads.h"

namespace ringmaster {
namespace {

__global__ void __launch_bounds__(kBlockThreads) ReluKernel(ReluCall call) {
  for (int64_t at = kQuad * ThreadX(); at < call.count; at += kQuad * StrideX()) {
    Quad data = LoadQuad(call.data + at, call.count - at);
#pragma unroll
    for (float& value : data.value) value = 0.0f > value ? 0.0f : value;  // a NaN stays one
    StoreQuad(data, call.data + at, call.count - at);
  }
}

}  // namespace

cudaError_t Launch(const ReluCall& call, const DeviceQueue& queue) {
  if (call.count == 0) return cudaSuccess;
  ReluKernel<<<GridForQuads(call.count), kBlockThreads, 0, queue.stream>>>(call);
  return cudaGetLastError();
}

}  // namespace ringmaster
