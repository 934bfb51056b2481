// input[rows, cols] += bias[cols] and output = gelu(input), in its tanh form; and gradient[i] *=
// gelu'(input[i]). Source: Hendrycks and Gimpel 2016, as in GPT-2.

#include "worker/kernels/cublas/launchers.h"
#include "worker/kernels/cublas/quads.h"

namespace ringmaster {
namespace {

constexpr float kSqrtTwoOverPi = 0.7978845608028654f;
constexpr float kCubic = 0.044715f;

// tanh(sqrt(2/pi) * (x + 0.044715 x^3)).
__device__ inline float InnerTanh(float x) {
  return tanhf(kSqrtTwoOverPi * (x + kCubic * x * x * x));
}

__device__ inline float Gelu(float x) { return 0.5f * x * (1.0f + InnerTanh(x)); }

__device__ inline float GeluSlope(float x) {
  const float tanh = InnerTanh(x);
  const float fall = 1.0f - tanh * tanh;
  if (fall == 0.0f)
    return 0.5f * (1.0f + tanh);  // far out x^2 may be infinite, and 0 * infinity is no number
  const float inner_slope = kSqrtTwoOverPi * (1.0f + 3.0f * kCubic * x * x);
  return 0.5f * (1.0f + tanh) + 0.5f * x * fall * inner_slope;
}

// The matrix is one run of count = rows * cols elements; the column only tells the bias.
template <typename Index>
__global__ void __launch_bounds__(kBlockThreads) GeluKernel(GeluCall call, Index count) {
  const Index cols = static_cast<Index>(call.cols);
  for (Index at = static_cast<Index>(kQuad * ThreadX()); at < count;
       at += static_cast<Index>(kQuad * StrideX())) {
    Quad input = LoadQuad(call.input + at, count - at);
    if (call.bias != nullptr) {
      Index col = at % cols;
#pragma unroll
      for (float& value : input.value) {
        value += call.bias[col];
        if (++col == cols) col = 0;
      }
      StoreQuad(input, call.input + at, count - at);
    }
    Quad output;
#pragma unroll
    for (int i = 0; i < kQuad; ++i) output.value[i] = Gelu(input.value[i]);
    StoreQuad(output, call.output + at, count - at);
  }
}

__global__ void __launch_bounds__(kBlockThreads) GeluBackwardKernel(GeluBackwardCall call) {
  for (int64_t at = kQuad * ThreadX(); at < call.count; at += kQuad * StrideX()) {
    const Quad input = LoadQuad(call.input + at, call.count - at);
    Quad gradient = LoadQuad(call.gradient + at, call.count - at);
#pragma unroll
    for (int i = 0; i < kQuad; ++i) gradient.value[i] *= GeluSlope(input.value[i]);
    StoreQuad(gradient, call.gradient + at, call.count - at);
  }
}

}  // namespace

cudaError_t Launch(const GeluCall& call, const DeviceQueue& queue) {
  const int64_t count = call.rows * call.cols;
  if (count == 0) return cudaSuccess;
  if (QuadsFitInt32(count)) {
    GeluKernel<int32_t><<<GridForQuads(count), kBlockThreads, 0, queue.stream>>>(
        call, static_cast<int32_t>(count));
  } else {
    GeluKernel<int64_t><<<GridForQuads(count), kBlockThreads, 0, queue.stream>>>(call, count);
  }
  return cudaGetLastError();
}

cudaError_t Launch(const GeluBackwardCall& call, const DeviceQueue& queue) {
  if (call.count == 0) return cudaSuccess;
  GeluBackwardKernel<<<GridForQuads(call.count), kBlockThreads, 0, queue.stream>>>(call);
  return cudaGetLastError();
}

}  // namespace ringmaster
