// input_gradient of a layer, batch or group norm, through mean and deviation too (=). With h =
// output_gradient * gain and x = (input - mean) * inverse_deviation it is (h - mean(h) - x * mean(h
// * x)) * inverse_deviation, with the means over the group.

#include "worker/kernels/cublas/launchers.h"
#include "worker/kernels/cublas/norm_groups.h"

namespace ringmaster {
namespace {

template <int kThreads>
__global__ void __launch_bounds__(Team<kThreads>::kBlock)
    NormInputGradientKernel(NormInputGradientCall call, NormGroups groups) {
  using Threads = Team<kThreads>;
  const float elements = static_cast<float>(groups.elements());
  for (int64_t group = Threads::First(); group < groups.count; group += Threads::Step()) {
    const float mean = call.mean[group], inverse_deviation = call.inverse_deviation[group];
    float sum = 0.0f, product_sum = 0.0f;
    // Behind the end of a run the output gradient reads as 0, and adds nothing.
    VisitGroup<kThreads>(groups, group, [&](int64_t at, int64_t left, int64_t feature) {
      const Quad input = LoadQuad(call.input + at, left),
                 gradient = LoadQuad(call.output_gradient + at, left);
      const Quad gain = groups.OfFeatures(call.gain, feature, left);
#pragma unroll
      for (int i = 0; i < kQuad; ++i) {
        const float scaled = gradient.value[i] * gain.value[i];
        sum += scaled;
        product_sum += scaled * ((input.value[i] - mean) * inverse_deviation);
      }
    });
    const float scaled_mean = Threads::Sum(sum) / elements;
    const float product_mean = Threads::Sum(product_sum) / elements;

    VisitGroup<kThreads>(groups, group, [&](int64_t at, int64_t left, int64_t feature) {
      const Quad input = LoadQuad(call.input + at, left),
                 gradient = LoadQuad(call.output_gradient + at, left);
      const Quad gain = groups.OfFeatures(call.gain, feature, left);
      Quad result;
#pragma unroll
      for (int i = 0; i < kQuad; ++i) {
        const float normalized = (input.value[i] - mean) * inverse_deviation;
        result.value[i] =
            (gradient.value[i] * gain.value[i] - scaled_mean - normalized * product_mean) *
            inverse_deviation;
      }
      StoreQuad(result, call.input_gradient + at, left);
    });
  }
}

template <int kThreads>
void LaunchTeams(const NormInputGradientCall& call, const NormGroups& groups, cudaStream_t stream) {
  NormInputGradientKernel<kThreads>
      <<<Team<kThreads>::GridFor(groups.count), Team<kThreads>::kBlock, 0, stream>>>(call, groups);
}

}  // namespace

cudaError_t Launch(const NormInputGradientCall& call, const DeviceQueue& queue) {
  const NormGroups groups = NormGroups::Of(call.shape);
  if (groups.count == 0 || groups.elements() == 0) return cudaSuccess;
  if (groups.elements() <= kWarpGroupMax) {
    LaunchTeams<kWarpLanes>(call, groups, queue.stream);
  } else if (groups.elements() <= kSmallBlockGroupMax) {
    LaunchTeams<kBlockThreads>(call, groups, queue.stream);
  } else {
    LaunchTeams<kLargeBlockThreads>(call, groups, queue.stream);
  }
  return cudaGetLastError();
}

}  // namespace ringmaster
