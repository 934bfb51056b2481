// output[planes][h/2][w/2] = the maximum of each 2x2 window; argmax = the position 0..3 of its
// first largest value (=).

#include "worker/kernels/cublas/launch.h"
#include "worker/kernels/cublas/launchers.h"

namespace ringmaster {
namespace {

// h is even, so the windows of all planes form one image of planes * h/2 rows of w/2 windows.
template <typename Index>
__global__ void MaxPoolKernel(MaxPoolCall call, Index windows) {
  const Index out_width = static_cast<Index>(call.width / 2);
  for (Index i = static_cast<Index>(ThreadX()); i < windows; i += static_cast<Index>(StrideX())) {
    const Index row = i / out_width;
    const float* upper = call.input + 2 * (row * call.width + (i - row * out_width));
    const float* lower = upper + call.width;
    const float window[4] = {upper[0], upper[1], lower[0], lower[1]};
    float best = window[0];
    uint8_t position = 0;
#pragma unroll
    for (uint8_t candidate = 1; candidate < 4; ++candidate) {
      if (window[candidate] > best) {
        best = window[candidate];
        position = candidate;
      }
    }
    call.output[i] = best;
    call.argmax[i] = position;
  }
}

}  // namespace

cudaError_t Launch(const MaxPoolCall& call, const DeviceQueue& queue) {
  const int64_t windows = call.planes * (call.height / 2) * (call.width / 2);
  if (windows == 0) return cudaSuccess;
  if (FitsInt32(windows)) {
    MaxPoolKernel<int32_t>
        <<<GridFor(windows), kBlockThreads, 0, queue.stream>>>(call, static_cast<int32_t>(windows));
  } else {
    MaxPoolKernel<int64_t><<<GridFor(windows), kBlockThreads, 0, queue.stream>>>(call, windows);
  }
  return cudaGetLastError();
}

}  // namespace ringmaster
