// For each row of logits[rows, classes] with label l: row_loss = -log softmax(logits)[l],
// row_correct = 1 when l is the first largest logit, and gradient = (softmax(logits) - onehot(l)) *
// gradient_scale where one is asked for (=). A label outside 0..classes-1 gives the loss NaN and
// leaves its row + 1 in *bad_label_row.

#include <cmath>

#include "worker/kernels/cublas/launch.h"
#include "worker/kernels/cublas/launchers.h"
#include "worker/kernels/cublas/team.h"

namespace ringmaster {
namespace {

struct Largest {
  float value;
  int64_t index;
};

// The largest of the warp's values and, of equal ones, the lowest index; in every lane.
__device__ Largest WarpLargest(Largest largest) {
  for (int distance = kWarpLanes / 2; distance > 0; distance /= 2) {
    const float value = __shfl_xor_sync(kAllLanes, largest.value, distance);
    const int64_t index =
        __shfl_xor_sync(kAllLanes, static_cast<long long>(largest.index), distance);
    if (value > largest.value || (value == largest.value && index < largest.index))
      largest = {value, index};
  }
  return largest;
}

// A warp a row; its lanes stride over the classes.
__global__ void SoftmaxCrossEntropyKernel(SoftmaxCrossEntropyCall call, int64_t* bad_label_row) {
  const int lane = threadIdx.x % kWarpLanes;
  for (int64_t row = ThreadX() / kWarpLanes; row < call.rows; row += StrideX() / kWarpLanes) {
    const float* logits = call.logits + row * call.classes;
    Largest largest = {-INFINITY, call.classes};
    for (int64_t i = lane; i < call.classes; i += kWarpLanes) {
      if (logits[i] > largest.value) largest = {logits[i], i};
    }
    largest = WarpLargest(largest);
    float sum = 0.0f;
    for (int64_t i = lane; i < call.classes; i += kWarpLanes)
      sum += expf(logits[i] - largest.value);
    sum = WarpSum(sum);

    const int64_t label = call.labels[row];
    if (lane == 0) {
      const bool known = label >= 0 && label < call.classes;
      call.row_loss[row] = known ? logf(sum) - (logits[label] - largest.value) : NAN;
      if (!known) *bad_label_row = row + 1;
      call.row_correct[row] = label == largest.index ? 1.0f : 0.0f;
    }
    if (call.gradient == nullptr) continue;
    float* gradient = call.gradient + row * call.classes;
    for (int64_t i = lane; i < call.classes; i += kWarpLanes) {
      const float probability = expf(logits[i] - largest.value) / sum;
      gradient[i] = (probability - (i == label ? 1.0f : 0.0f)) * call.gradient_scale;
    }
  }
}

}  // namespace

cudaError_t Launch(const SoftmaxCrossEntropyCall& call, const DeviceQueue& queue) {
  if (call.rows == 0 || call.classes == 0) return cudaSuccess;
  SoftmaxCrossEntropyKernel<<<Team<kWarpLanes>::GridFor(call.rows), kBlockThreads, 0,
                              queue.stream>>>(call, queue.bad_label_row);
  return cudaGetLastError();
}

}  // namespace ringmaster
