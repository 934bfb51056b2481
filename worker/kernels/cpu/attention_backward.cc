#include <algorithm>
#include <cmath>

#include "common/base/status_macros.h"
#include "worker/kernels/cpu/attention_block.h"
#include "worker/kernels/cpu/ops.h"
#include "worker/kernels/cpu/vectors.h"

namespace ringmaster::cpu {
namespace {

// gradient[0..count), of one row of probabilities, becomes that of the scores before softmax;
// [count..keys) = 0.
void SoftmaxBackward(const float* probabilities, int64_t count, int64_t keys, float* gradient) {
  const __m256 mean = _mm256_set1_ps(SumOf(
      count, [](__m256 share, __m256 slope) { return share * slope; }, probabilities, gradient));
  Map(
      count, gradient, [mean](__m256 share, __m256 slope) { return share * (slope - mean); },
      probabilities, gradient);
  std::fill_n(gradient + count, keys - count, 0.0f);
}

// The gradients of the block's queries, and its share in those of the keys and values it sees. The
// last block sees them all and comes first: it overwrites, the others add.
absl::Status BlockBackward(const AttentionBackwardCall& call, const AttentionBlock& block,
                           const Loops& loops) {
  const AttentionShape& shape = call.shape;
  const float scale = 1.0f / std::sqrt(static_cast<float>(shape.head_width));
  const float beta = block.end() == shape.context ? 0.0f : 1.0f;
  const int64_t row = block.qkv_row();
  const float* probabilities = call.probabilities + block.pairs();
  const float* output_gradient = call.output_gradient + block.output();
  float* scores = call.scratch;  // [queries][keys]
  RM_RETURN_IF_ERROR(Compute(
      GemmCall{false, true, block.queries(), block.keys(), shape.head_width, 1.0f, output_gradient,
               shape.width(), call.qkv + block.qkv(2, 0), row, 0.0f, scores, block.keys()},
      loops));
  for (int64_t i = 0; i < block.queries(); ++i) {
    SoftmaxBackward(probabilities + i * shape.context, block.begin + i + 1, block.keys(),
                    scores + i * block.keys());
  }
  RM_RETURN_IF_ERROR(Compute(GemmCall{false, false, block.queries(), shape.head_width, block.keys(),
                                      scale, scores, block.keys(), call.qkv + block.qkv(1, 0), row,
                                      0.0f, call.qkv_gradient + block.qkv(0, block.begin), row},
                             loops));
  RM_RETURN_IF_ERROR(
      Compute(GemmCall{true, false, block.keys(), shape.head_width, block.queries(), scale, scores,
                       block.keys(), call.qkv + block.qkv(0, block.begin), row, beta,
                       call.qkv_gradient + block.qkv(1, 0), row},
              loops));
  return Compute(GemmCall{true, false, block.keys(), shape.head_width, block.queries(), 1.0f,
                          probabilities, shape.context, output_gradient, shape.width(), beta,
                          call.qkv_gradient + block.qkv(2, 0), row},
                 loops);
}

}  // namespace

int64_t AttentionScratchFloats(const AttentionShape& shape) {
  return std::min(shape.context, kAttentionBlockQueries) * shape.context;
}

// qkv_gradient from output_gradient, for each head of each sequence.
absl::Status Compute(const AttentionBackwardCall& call, const Loops& loops) {
  if (loops.has_short_attention(call.shape)) {
    loops.attention_backward(call);
    return absl::OkStatus();
  }
  const int64_t last = (call.shape.context - 1) / kAttentionBlockQueries * kAttentionBlockQueries;
  for (int64_t sequence = 0; sequence < call.shape.batch; ++sequence) {
    for (int64_t head = 0; head < call.shape.heads; ++head) {
      for (int64_t begin = last; begin >= 0; begin -= kAttentionBlockQueries) {
        RM_RETURN_IF_ERROR(BlockBackward(call, {call.shape, sequence, head, begin}, loops));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace ringmaster::cpu
