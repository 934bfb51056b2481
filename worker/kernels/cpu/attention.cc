#include <algorithm>
#include <cmath>

#include "common/base/status_macros.h"
#include "worker/kernels/cpu/attention_block.h"
#include "worker/kernels/cpu/ops.h"
#include "worker/kernels/cpu/vectors.h"

namespace ringmaster::cpu {
namespace {

// row[0..count) = softmax(row[0..count)), row[count..context) = 0.
void CausalSoftmax(float* row, int64_t count, int64_t context) {
  const __m256 shift = _mm256_set1_ps(Largest(count, row));
  Map(
      count, row, [shift](__m256 score) { return Exp(score - shift); }, row);
  const __m256 scale = _mm256_set1_ps(1.0f / Sum(count, row));
  Map(
      count, row, [scale](__m256 weight) { return weight * scale; }, row);
  std::fill_n(row + count, context - count, 0.0f);
}

absl::Status AttendBlock(const AttentionCall& call, const AttentionBlock& block,
                         const Loops& loops) {
  const AttentionShape& shape = call.shape;
  const float scale = 1.0f / std::sqrt(static_cast<float>(shape.head_width));
  float* probabilities = call.probabilities + block.pairs();
  RM_RETURN_IF_ERROR(Compute(
      GemmCall{false, true, block.queries(), block.keys(), shape.head_width, scale,
               call.qkv + block.qkv(0, block.begin), block.qkv_row(), call.qkv + block.qkv(1, 0),
               block.qkv_row(), 0.0f, probabilities, shape.context},
      loops));
  for (int64_t i = 0; i < block.queries(); ++i) {
    CausalSoftmax(probabilities + i * shape.context, block.begin + i + 1, shape.context);
  }
  return Compute(GemmCall{false, false, block.queries(), shape.head_width, block.keys(), 1.0f,
                          probabilities, shape.context, call.qkv + block.qkv(2, 0), block.qkv_row(),
                          0.0f, call.output + block.output(), shape.width()},
                 loops);
}

}  // namespace

// probabilities = causal softmax(q k' / sqrt(head_width)), output = probabilities v, for each head
// of each sequence. Source: Vaswani et al. 2017, section 3.2.1.
absl::Status Compute(const AttentionCall& call, const Loops& loops) {
  if (loops.has_short_attention(call.shape)) {
    loops.attention(call);
    return absl::OkStatus();
  }
  for (int64_t sequence = 0; sequence < call.shape.batch; ++sequence) {
    for (int64_t head = 0; head < call.shape.heads; ++head) {
      for (int64_t begin = 0; begin < call.shape.context; begin += kAttentionBlockQueries) {
        RM_RETURN_IF_ERROR(AttendBlock(call, {call.shape, sequence, head, begin}, loops));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace ringmaster::cpu
