// output[i] += input[i].

#include "worker/kernels/cublas/launchers.h"
#include "worker/kernels/cublas/quads.h"

namespace ringmaster {
namespace {

__global__ void __launch_bounds__(kBlockThreads) AddKernel(AddCall call) {
  for (int64_t at = kQuad * ThreadX(); at < call.count; at += kQuad * StrideX()) {
    const Quad input = LoadQuad(call.input + at, call.count - at);
    Quad output = LoadQuad(call.output + at, call.count - at);
#pragma unroll
    for (int i = 0; i < kQuad; ++i) output.value[i] += input.value[i];
    StoreQuad(output, call.output + at, call.count - at);
  }
}

}  // namespace

cudaError_t Launch(const AddCall& call, const DeviceQueue& queue) {
  if (call.count == 0) return cudaSuccess;
  AddKernel<<<GridForQuads(call.count), kBlockThreads, 0, queue.stream>>>(call);
  return cudaGetLastError();
}

}  // namespace ringmaster
