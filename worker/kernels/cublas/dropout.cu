// data[i] = kept(seed, i) ? data[i] / (1 - rate) : 0. In place; the mask is a hash, the same on
// every library.

#include "worker/kernels/cublas/launchers.h"
#include "worker/kernels/cublas/quads.h"
#include "worker/kernels/dropout_mask.h"

namespace ringmaster {
namespace {

__global__ void __launch_bounds__(kBlockThreads) DropoutKernel(DropoutCall call) {
  const float keep = 1.0f - call.rate;
  for (int64_t at = kQuad * ThreadX(); at < call.count; at += kQuad * StrideX()) {
    Quad data = LoadQuad(call.data + at, call.count - at);
#pragma unroll
    for (int i = 0; i < kQuad; ++i) {
      data.value[i] = DropoutKeeps(call.seed, static_cast<uint64_t>(at + i), call.rate)
                          ? data.value[i] / keep
                          : 0.0f;
    }
    StoreQuad(data, call.data + at, call.count - at);
  }
}

}  // namespace

cudaError_t Launch(const DropoutCall& call, const DeviceQueue& queue) {
  if (call.count == 0) return cudaSuccess;
  DropoutKernel<<<GridForQuads(call.count), kBlockThreads, 0, queue.stream>>>(call);
  return cudaGetLastError();
}

}  // namespace ringmaster
