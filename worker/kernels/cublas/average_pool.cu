// output[p] = the mean of input[p][pixels] (=); and input_gradient[p][i] = output_gradient[p] /
// pixels (=).

#include "worker/kernels/cublas/launchers.h"
#include "worker/kernels/cublas/quads.h"
#include "worker/kernels/cublas/team.h"

namespace ringmaster {
namespace {

// Up to this many pixels a warp takes a plane, above it a block.
constexpr int64_t kWarpPixelsMax = 1024;

template <int kThreads>
__global__ void __launch_bounds__(Team<kThreads>::kBlock) AveragePoolKernel(AveragePoolCall call) {
  using Threads = Team<kThreads>;
  for (int64_t plane = Threads::First(); plane < call.planes; plane += Threads::Step()) {
    const float* input = call.input + plane * call.pixels;
    float sum = 0.0f;
    for (int64_t at = kQuad * Threads::Rank(); at < call.pixels; at += kQuad * kThreads) {
      const Quad pixels = LoadQuad(input + at, call.pixels - at);
      sum += (pixels.value[0] + pixels.value[1]) + (pixels.value[2] + pixels.value[3]);
    }
    sum = Threads::Sum(sum);
    if (Threads::Rank() == 0) call.output[plane] = sum / static_cast<float>(call.pixels);
  }
}

// All planes are one run of `count` pixels.
template <typename Index>
__global__ void __launch_bounds__(kBlockThreads)
    AveragePoolBackwardKernel(AveragePoolBackwardCall call, Index count) {
  const Index pixels = static_cast<Index>(call.pixels);
  const float divisor = static_cast<float>(call.pixels);
  for (Index at = static_cast<Index>(kQuad * ThreadX()); at < count;
       at += static_cast<Index>(kQuad * StrideX())) {
    Index plane = at / pixels;
    Index position = at - plane * pixels;
    Quad gradient;
#pragma unroll
    for (int i = 0; i < kQuad; ++i) {
      gradient.value[i] = i < count - at ? call.output_gradient[plane] / divisor : 0.0f;
      if (++position == pixels) {
        position = 0;
        ++plane;
      }
    }
    StoreQuad(gradient, call.input_gradient + at, count - at);
  }
}

template <int kThreads>
void LaunchForward(const AveragePoolCall& call, cudaStream_t stream) {
  AveragePoolKernel<kThreads>
      <<<Team<kThreads>::GridFor(call.planes), Team<kThreads>::kBlock, 0, stream>>>(call);
}

}  // namespace

cudaError_t Launch(const AveragePoolCall& call, const DeviceQueue& queue) {
  if (call.planes == 0) return cudaSuccess;
  if (call.pixels <= kWarpPixelsMax) {
    LaunchForward<kWarpLanes>(call, queue.stream);
  } else {
    LaunchForward<kBlockThreads>(call, queue.stream);
  }
  return cudaGetLastError();
}

cudaError_t Launch(const AveragePoolBackwardCall& call, const DeviceQueue& queue) {
  const int64_t count = call.planes * call.pixels;
  if (count == 0) return cudaSuccess;
  if (QuadsFitInt32(count)) {
    AveragePoolBackwardKernel<int32_t><<<GridForQuads(count), kBlockThreads, 0, queue.stream>>>(
        call, static_cast<int32_t>(count));
  } else {
    AveragePoolBackwardKernel<int64_t>
        <<<GridForQuads(count), kBlockThreads, 0, queue.stream>>>(call, count);
  }
  return cudaGetLastError();
}

}  // namespace ringmaster
