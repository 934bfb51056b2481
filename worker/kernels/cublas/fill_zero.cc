// data[i] = 0 (=).

#include "worker/kernels/cublas/launchers.h"

namespace ringmaster {

cudaError_t Launch(const FillZeroCall& call, const DeviceQueue& queue) {
  if (call.count == 0) return cudaSuccess;
  return cudaMemsetAsync(call.data, 0, call.count * sizeof(float), queue.stream);
}

}  // namespace ringmaster
