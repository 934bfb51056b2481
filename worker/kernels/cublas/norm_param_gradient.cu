// gain_gradient[f] = sum of output_gradient * (input - mean) * inverse_deviation and
// bias_gradient[f] = sum of output_gradient over all elements of feature f (=).

#include "worker/kernels/cublas/column_sums.h"
#include "worker/kernels/cublas/launchers.h"
#include "worker/kernels/cublas/norm_groups.h"

namespace ringmaster {
namespace {

// A layer norm's features are columns; mean and deviation belong to the row.
struct LayerTerms {
  NormParamGradientCall call;
  __device__ void operator()(int64_t row, int64_t col, float (&values)[2]) const {
    const int64_t at = row * call.shape.features + col;
    const float gradient = call.output_gradient[at];
    values[0] = gradient * ((call.input[at] - call.mean[row]) * call.inverse_deviation[row]);
    values[1] = gradient;
  }
};

// A batch or group norm's features are rows of images * pixels elements. `runs` of `length`
// elements each have a mean and deviation of their own: the whole row in a batch norm, the image in
// a group norm.
template <int kThreads>
__global__ void __launch_bounds__(Team<kThreads>::kBlock)
    FeatureSumsKernel(NormParamGradientCall call, int64_t runs, int64_t length) {
  using Threads = Team<kThreads>;
  const int64_t groups_per_image = call.shape.groups_per_image;
  const int64_t quads = (length + kQuad - 1) / kQuad;  // of one run
  for (int64_t feature = Threads::First(); feature < call.shape.features;
       feature += Threads::Step()) {
    const int64_t begin = feature * runs * length;
    float gain_sum = 0.0f, bias_sum = 0.0f;
    for (int64_t i = Threads::Rank(); i < runs * quads; i += kThreads) {
      const int64_t run = runs == 1 ? 0 : i / quads;
      const int64_t offset = kQuad * (i - run * quads);
      const int64_t group =
          call.shape.kind == NormKind::kBatch
              ? feature
              : run * groups_per_image + feature / (call.shape.features / groups_per_image);
      const float mean = call.mean[group], inverse_deviation = call.inverse_deviation[group];
      const int64_t at = begin + run * length + offset;
      const Quad input = LoadQuad(call.input + at, length - offset);
      const Quad gradient = LoadQuad(call.output_gradient + at, length - offset);
#pragma unroll
      for (int k = 0; k < kQuad; ++k) {
        gain_sum += gradient.value[k] * ((input.value[k] - mean) * inverse_deviation);
        bias_sum += gradient.value[k];
      }
    }
    gain_sum = Threads::Sum(gain_sum);
    bias_sum = Threads::Sum(bias_sum);
    if (Threads::Rank() == 0) {
      call.gain_gradient[feature] = gain_sum;
      call.bias_gradient[feature] = bias_sum;
    }
  }
}

template <int kThreads>
void LaunchTeams(const NormParamGradientCall& call, int64_t runs, int64_t length,
                 cudaStream_t stream) {
  FeatureSumsKernel<kThreads>
      <<<Team<kThreads>::GridFor(call.shape.features), Team<kThreads>::kBlock, 0, stream>>>(
          call, runs, length);
}

}  // namespace

cudaError_t Launch(const NormParamGradientCall& call, const DeviceQueue& queue) {
  const NormShape& shape = call.shape;
  if (shape.features == 0) return cudaSuccess;
  if (shape.kind == NormKind::kLayer) {
    return LaunchColumnSums<2>(LayerTerms{call}, shape.rows, shape.features,
                               {{call.gain_gradient, call.bias_gradient}}, queue.partials,
                               queue.stream);
  }
  const bool batch = shape.kind == NormKind::kBatch;
  const int64_t runs = batch ? 1 : shape.rows;
  const int64_t length = batch ? shape.rows * shape.pixels : shape.pixels;
  if (runs * length <= kWarpGroupMax) {
    LaunchTeams<kWarpLanes>(call, runs, length, queue.stream);
  } else if (runs * length <= kSmallBlockGroupMax) {
    LaunchTeams<kBlockThreads>(call, runs, length, queue.stream);
  } else {
    LaunchTeams<kLargeBlockThreads>(call, runs, length, queue.stream);
  }
  return cudaGetLastError();
}

}  // namespace ringmaster
