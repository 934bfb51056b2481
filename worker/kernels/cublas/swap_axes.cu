// output[b][a][i] = input[a][b][i] (=). Writes are consecutive, reads are so within `inner`.

#include "worker/kernels/cublas/launch.h"
#include "worker/kernels/cublas/launchers.h"

namespace ringmaster {
namespace {

template <typename Index>
__global__ void SwapAxesKernel(SwapAxesCall call, Index count) {
  const Index inner = static_cast<Index>(call.inner);
  const Index outer_a = static_cast<Index>(call.outer_a);
  const Index outer_b = static_cast<Index>(call.outer_b);
  for (Index to = static_cast<Index>(ThreadX()); to < count; to += static_cast<Index>(StrideX())) {
    const Index pair = to / inner;
    const Index b = pair / outer_a;
    const Index a = pair - b * outer_a;
    call.output[to] = call.input[(a * outer_b + b) * inner + (to - pair * inner)];
  }
}

}  // namespace

cudaError_t Launch(const SwapAxesCall& call, const DeviceQueue& queue) {
  const int64_t count = call.outer_a * call.outer_b * call.inner;
  if (count == 0) return cudaSuccess;
  if (FitsInt32(count)) {
    SwapAxesKernel<int32_t>
        <<<GridFor(count), kBlockThreads, 0, queue.stream>>>(call, static_cast<int32_t>(count));
  } else {
    SwapAxesKernel<int64_t><<<GridFor(count), kBlockThreads, 0, queue.stream>>>(call, count);
  }
  return cudaGetLastError();
}

}  // namespace ringmaster
