// output = (input - mean) * inverse_deviation * gain + bias over the groups of a layer, batch or
// group norm (=), with the groups' statistics; and the same with given statistics of each feature.
// Source: Ba et al. 2016, Ioffe and Szegedy 2015, Wu and He 2018.

#include "worker/kernels/cublas/launchers.h"
#include "worker/kernels/cublas/norm_groups.h"

namespace ringmaster {
namespace {

// Mean first and then the squares of what differs from it: sums of squares alone would lose a small
// deviation beside a large mean. The second and third reading mostly come from a cache.
template <int kThreads>
__global__ void __launch_bounds__(Team<kThreads>::kBlock)
    NormKernel(NormCall call, NormGroups groups) {
  using Threads = Team<kThreads>;
  const float elements = static_cast<float>(groups.elements());
  for (int64_t group = Threads::First(); group < groups.count; group += Threads::Step()) {
    float sum = 0.0f;
    VisitGroup<kThreads>(groups, group, [&](int64_t at, int64_t left, int64_t) {
      const Quad input = LoadQuad(call.input + at, left);
      sum += (input.value[0] + input.value[1]) + (input.value[2] + input.value[3]);
    });
    const float mean = Threads::Sum(sum) / elements;

    float squares = 0.0f;
    VisitGroup<kThreads>(groups, group, [&](int64_t at, int64_t left, int64_t) {
      const Quad input = LoadQuad(call.input + at, left);
#pragma unroll
      for (int i = 0; i < kQuad; ++i) {
        const float difference = i < left ? input.value[i] - mean : 0.0f;
        squares += difference * difference;
      }
    });
    squares = Threads::Sum(squares);
    const float inverse_deviation = 1.0f / sqrtf(squares / elements + call.epsilon);
    if (Threads::Rank() == 0) {
      call.mean[group] = mean;
      call.inverse_deviation[group] = inverse_deviation;
      if (call.variance != nullptr) call.variance[group] = squares / (elements - 1.0f);
    }

    VisitGroup<kThreads>(groups, group, [&](int64_t at, int64_t left, int64_t feature) {
      const Quad input = LoadQuad(call.input + at, left);
      const Quad gain = groups.OfFeatures(call.gain, feature, left),
                 bias = groups.OfFeatures(call.bias, feature, left);
      Quad output;
#pragma unroll
      for (int i = 0; i < kQuad; ++i) {
        output.value[i] =
            (input.value[i] - mean) * inverse_deviation * gain.value[i] + bias.value[i];
      }
      StoreQuad(output, call.output + at, left);
    });
  }
}

// y runs over the features, x along a feature's row of `length` elements.
__global__ void __launch_bounds__(kBlockThreads)
    NormInferenceKernel(NormInferenceCall call, int64_t length) {
  for (int64_t feature = blockIdx.y; feature < call.shape.features; feature += gridDim.y) {
    const float* input_row = call.input + feature * length;
    float* output_row = call.output + feature * length;
    const float mean = call.mean[feature], gain = call.gain[feature], bias = call.bias[feature];
    const float inverse_deviation = 1.0f / sqrtf(call.variance[feature] + call.epsilon);
    for (int64_t at = kQuad * ThreadX(); at < length; at += kQuad * StrideX()) {
      Quad data = LoadQuad(input_row + at, length - at);
#pragma unroll
      for (float& value : data.value) value = (value - mean) * inverse_deviation * gain + bias;
      StoreQuad(data, output_row + at, length - at);
    }
  }
}

template <int kThreads>
void LaunchTeams(const NormCall& call, const NormGroups& groups, cudaStream_t stream) {
  NormKernel<kThreads>
      <<<Team<kThreads>::GridFor(groups.count), Team<kThreads>::kBlock, 0, stream>>>(call, groups);
}

}  // namespace

cudaError_t Launch(const NormCall& call, const DeviceQueue& queue) {
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

cudaError_t Launch(const NormInferenceCall& call, const DeviceQueue& queue) {
  const int64_t length = call.shape.rows * call.shape.pixels;
  if (call.shape.features == 0 || length == 0) return cudaSuccess;
  const dim3 grid = GridFor(call.shape.features, CeilDiv(length, kQuad));
  NormInferenceKernel<<<grid, kBlockThreads, 0, queue.stream>>>(call, length);
  return cudaGetLastError();
}

}  // namespace ringmaster
