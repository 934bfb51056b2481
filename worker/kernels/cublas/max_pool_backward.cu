// input_gradient[planes][h][w] = output_gradient at the argmax of each 2x2 window, 0 elsewhere (=,
// every element).

#include "worker/kernels/cublas/launch.h"
#include "worker/kernels/cublas/launchers.h"

namespace ringmaster {
namespace {

// As in max_pool.cu: planes * h/2 rows of w/2 windows, a window a thread.
template <typename Index>
__global__ void MaxPoolBackwardKernel(MaxPoolBackwardCall call, Index windows) {
  const Index out_width = static_cast<Index>(call.width / 2);
  for (Index i = static_cast<Index>(ThreadX()); i < windows; i += static_cast<Index>(StrideX())) {
    const Index row = i / out_width;
    float* upper = call.input_gradient + 2 * (row * call.width + (i - row * out_width));
    float* lower = upper + call.width;
    const float gradient = call.output_gradient[i];
    const uint8_t position = call.argmax[i];
    upper[0] = position == 0 ? gradient : 0.0f;
    upper[1] = position == 1 ? gradient : 0.0f;
    lower[0] = position == 2 ? gradient : 0.0f;
    lower[1] = position == 3 ? gradient : 0.0f;
  }
}

}  // namespace

cudaError_t Launch(const MaxPoolBackwardCall& call, const DeviceQueue& queue) {
  const int64_t windows = call.planes * (call.height / 2) * (call.width / 2);
  if (windows == 0) return cudaSuccess;
  if (FitsInt32(windows)) {
    MaxPoolBackwardKernel<int32_t>
        <<<GridFor(windows), kBlockThreads, 0, queue.stream>>>(call, static_cast<int32_t>(windows));
  } else {
    MaxPoolBackwardKernel<int64_t>
        <<<GridFor(windows), kBlockThreads, 0, queue.stream>>>(call, windows);
  }
  return cudaGetLastError();
}

}  // namespace ringmaster
