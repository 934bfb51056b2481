// The causal softmax of attention: probabilities[..][i][j] = softmax over j <= i of the scores that
// lie there, 0 for j > i, in place. And its backward: with g = the gradient of the probabilities
// and p = the probabilities, g[i][j] = p[i][j] * (g[i][j] - sum over k of p[i][k] * g[i][k]) *
// scale, 0 for j > i, in place. The gradient of the scores.

#include <cmath>

#include "worker/kernels/cublas/launchers.h"
#include "worker/kernels/cublas/quads.h"
#include "worker/kernels/cublas/team.h"

namespace ringmaster {
namespace {

// Up to this many tokens a warp takes a row, above it a block.
constexpr int64_t kWarpContextMax = 1024;

// Scores of j > i are never looked at, whatever they are.
template <int kThreads>
__global__ void __launch_bounds__(Team<kThreads>::kBlock)
    CausalSoftmaxKernel(float* probabilities, int64_t rows, int64_t context) {
  using Threads = Team<kThreads>;
  for (int64_t row = Threads::First(); row < rows; row += Threads::Step()) {
    float* scores = probabilities + row * context;
    const int64_t seen = row % context + 1;
    float largest = -INFINITY;
    for (int64_t at = kQuad * Threads::Rank(); at < seen; at += kQuad * kThreads) {
      const Quad quad = LoadQuad(scores + at, seen - at);
#pragma unroll
      for (int k = 0; k < kQuad; ++k) {
        if (k < seen - at) largest = fmaxf(largest, quad.value[k]);
      }
    }
    largest = Threads::Max(largest);
    float sum = 0.0f;
    for (int64_t at = kQuad * Threads::Rank(); at < seen; at += kQuad * kThreads) {
      const Quad quad = LoadQuad(scores + at, seen - at);
#pragma unroll
      for (int k = 0; k < kQuad; ++k) {
        if (k < seen - at) sum += expf(quad.value[k] - largest);
      }
    }
    sum = Threads::Sum(sum);
    for (int64_t at = kQuad * Threads::Rank(); at < context; at += kQuad * kThreads) {
      Quad quad = LoadQuad(scores + at, context - at);
#pragma unroll
      for (int k = 0; k < kQuad; ++k) {
        quad.value[k] = k < seen - at ? expf(quad.value[k] - largest) / sum : 0.0f;
      }
      StoreQuad(quad, scores + at, context - at);
    }
  }
}

template <int kThreads>
__global__ void __launch_bounds__(Team<kThreads>::kBlock)
    CausalSoftmaxBackwardKernel(const float* all_probabilities, float* all_gradients, int64_t rows,
                                int64_t context, float scale) {
  using Threads = Team<kThreads>;
  for (int64_t row = Threads::First(); row < rows; row += Threads::Step()) {
    const float* probabilities = all_probabilities + row * context;
    float* gradients = all_gradients + row * context;
    const int64_t seen = row % context + 1;
    float sum = 0.0f;
    for (int64_t at = kQuad * Threads::Rank(); at < seen; at += kQuad * kThreads) {
      const Quad probability = LoadQuad(probabilities + at, seen - at),
                 gradient = LoadQuad(gradients + at, seen - at);
#pragma unroll
      for (int k = 0; k < kQuad; ++k) sum += probability.value[k] * gradient.value[k];
    }
    sum = Threads::Sum(sum);
    for (int64_t at = kQuad * Threads::Rank(); at < context; at += kQuad * kThreads) {
      const Quad probability = LoadQuad(probabilities + at, context - at);
      Quad gradient = LoadQuad(gradients + at, context - at);
#pragma unroll
      for (int k = 0; k < kQuad; ++k) {
        gradient.value[k] =
            k < seen - at ? probability.value[k] * (gradient.value[k] - sum) * scale : 0.0f;
      }
      StoreQuad(gradient, gradients + at, context - at);
    }
  }
}

int64_t RowsOf(const AttentionShape& shape) { return shape.batch * shape.heads * shape.context; }

template <int kThreads>
void LaunchForward(const AttentionCall& call, int64_t rows, cudaStream_t stream) {
  CausalSoftmaxKernel<kThreads>
      <<<Team<kThreads>::GridFor(rows), Team<kThreads>::kBlock, 0, stream>>>(
          call.probabilities, rows, call.shape.context);
}

template <int kThreads>
void LaunchBackward(const AttentionBackwardCall& call, int64_t rows, cudaStream_t stream) {
  const float scale = 1.0f / std::sqrt(static_cast<float>(call.shape.head_width));
  CausalSoftmaxBackwardKernel<kThreads>
      <<<Team<kThreads>::GridFor(rows), Team<kThreads>::kBlock, 0, stream>>>(
          call.probabilities, call.scratch, rows, call.shape.context, scale);
}

}  // namespace

cudaError_t LaunchAttentionSoftmax(const AttentionCall& call, cudaStream_t stream) {
  const int64_t rows = RowsOf(call.shape);
  if (rows == 0) return cudaSuccess;
  if (call.shape.context <= kWarpContextMax) {
    LaunchForward<kWarpLanes>(call, rows, stream);
  } else {
    LaunchForward<kBlockThreads>(call, rows, stream);
  }
  return cudaGetLastError();
}

cudaError_t LaunchAttentionSoftmaxBackward(const AttentionBackwardCall& call, cudaStream_t stream) {
  const int64_t rows = RowsOf(call.shape);
  if (rows == 0) return cudaSuccess;
  if (call.shape.context <= kWarpContextMax) {
    LaunchBackward<kWarpLanes>(call, rows, stream);
  } else {
    LaunchBackward<kBlockThreads>(call, rows, stream);
  }
  return cudaGetLastError();
}

}  // namespace ringmaster
