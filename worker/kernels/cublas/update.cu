// weights, first and second, as common/update/element_update.h has them, with the host's bits:
// every operation is named with its rounding, so that none is fused. Bounded by memory: sgd moves
// 12 bytes an element, momentum 20, adam 28; four floats an access.

#include "worker/kernels/cublas/launchers.h"
#include "worker/kernels/cublas/quads.h"

namespace ringmaster {
namespace {

// clip * gradient + decay * weight.
__device__ inline float Direction(const ElementUpdate& update, float gradient, float weight) {
  const float clipped = update.clip == 1 ? gradient : __fmul_rn(update.clip, gradient);
  return update.decay == 0 ? clipped : __fadd_rn(clipped, __fmul_rn(update.decay, weight));
}

// The new weight; the element's state becomes new too.
template <UpdateKind kKind>
__device__ inline float Updated(const ElementUpdate& update, float gradient, float weight,
                                float* first, float* second) {
  const float g = Direction(update, gradient, weight);
  if constexpr (kKind == UpdateKind::kStatistic) {
    return __fadd_rn(__fmul_rn(update.keep, weight), __fmul_rn(update.share, gradient));
  } else if constexpr (kKind == UpdateKind::kSgd) {
    return __fsub_rn(weight, __fmul_rn(update.rate, g));
  } else if constexpr (kKind == UpdateKind::kAdam) {
    const AdamFactors& adam = update.adam;
    *first = __fadd_rn(__fmul_rn(adam.first_keep, *first), __fmul_rn(adam.first_share, g));
    *second = __fadd_rn(__fmul_rn(adam.second_keep, *second),
                        __fmul_rn(__fmul_rn(adam.second_share, g), g));
    const float below = __fadd_rn(__fmul_rn(__fsqrt_rn(*second), adam.root_factor), adam.epsilon);
    const float way = __fmul_rn(adam.step, __fdiv_rn(*first, below));
    return __fsub_rn(__fmul_rn(update.keep, weight), way);
  } else {
    *first = __fadd_rn(__fmul_rn(update.momentum, *first), g);
    const float way = kKind == UpdateKind::kMomentum
                          ? *first
                          : __fadd_rn(g, __fmul_rn(update.momentum, *first));
    return __fsub_rn(weight, __fmul_rn(update.rate, way));
  }
}

template <UpdateKind kKind, int kArrays>
__global__ void __launch_bounds__(kBlockThreads) UpdateKernel(UpdateCall call) {
  for (int64_t at = kQuad * ThreadX(); at < call.count; at += kQuad * StrideX()) {
    const int64_t left = call.count - at;
    const Quad gradient = LoadQuad(call.gradient + at, left);
    Quad weights = LoadQuad(call.weights + at, left);
    Quad first = {}, second = {};
    if constexpr (kArrays > 0) first = LoadQuad(call.first + at, left);
    if constexpr (kArrays > 1) second = LoadQuad(call.second + at, left);
#pragma unroll
    for (int i = 0; i < kQuad; ++i) {
      weights.value[i] = Updated<kKind>(call.update, gradient.value[i], weights.value[i],
                                        &first.value[i], &second.value[i]);
    }
    StoreQuad(weights, call.weights + at, left);
    if constexpr (kArrays > 0) StoreQuad(first, call.first + at, left);
    if constexpr (kArrays > 1) StoreQuad(second, call.second + at, left);
  }
}

template <UpdateKind kKind>
void Start(const UpdateCall& call, const DeviceQueue& queue) {
  UpdateKernel<kKind, StateArraysOf(kKind)>
      <<<GridForQuads(call.count), kBlockThreads, 0, queue.stream>>>(call);
}

}  // namespace

cudaError_t Launch(const UpdateCall& call, const DeviceQueue& queue) {
  if (call.count == 0) return cudaSuccess;
  switch (call.update.kind) {
    case UpdateKind::kStatistic:
      Start<UpdateKind::kStatistic>(call, queue);
      break;
    case UpdateKind::kSgd:
      Start<UpdateKind::kSgd>(call, queue);
      break;
    case UpdateKind::kMomentum:
      Start<UpdateKind::kMomentum>(call, queue);
      break;
    case UpdateKind::kNesterov:
      Start<UpdateKind::kNesterov>(call, queue);
      break;
    case UpdateKind::kAdam:
      Start<UpdateKind::kAdam>(call, queue);
      break;
  }
  return cudaGetLastError();
}

}  // namespace ringmaster
