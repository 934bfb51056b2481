// gradient[i] = output[i] > 0 ? gradient[i] : 0. In place.

#include "worker/kernels/cublas/launch.h"
#include "worker/kernels/cublas/launchers.h"

namespace ringmaster {
namespace {

__global__ void ReluBackwardKernel(ReluBackwardCall call) {
  for (int64_t i = ThreadX(); i < call.count; i += StrideX()) {
    if (!(call.output[i] > 0.0f)) call.gradient[i] = 0.0f;
  }
}

}  // namespace

cudaError_t Launch(const ReluBackwardCall& call, const DeviceQueue& queue) {
  if (call.count == 0) return cudaSuccess;
  ReluBackwardKernel<<<GridFor(call.count), kBlockThreads, 0, queue.stream>>>(call);
  return cudaGetLastError();
}

}  // namespace ringmaster
