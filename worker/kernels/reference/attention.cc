#include <algorithm>
#include <cmath>
#include <limits>

#include "worker/kernels/reference/attention_head.h"
#include "worker/kernels/reference/ops.h"

namespace ringmaster::reference {
namespace {

// q_i . k_j / sqrt(head_width)
double Score(const AttentionCall& call, const AttentionHead& at, int64_t i, int64_t j) {
  double sum = 0;
  for (int64_t d = 0; d < call.shape.head_width; ++d) {
    sum += static_cast<double>(call.qkv[at.Qkv(0, i, d)]) * call.qkv[at.Qkv(1, j, d)];
  }
  return sum / std::sqrt(static_cast<double>(call.shape.head_width));
}

void AttendOneToken(const AttentionCall& call, const AttentionHead& at, int64_t i) {
  double largest = -std::numeric_limits<double>::infinity(), sum = 0;
  for (int64_t j = 0; j <= i; ++j) largest = std::max(largest, Score(call, at, i, j));
  for (int64_t j = 0; j <= i; ++j) sum += std::exp(Score(call, at, i, j) - largest);
  for (int64_t j = 0; j < call.shape.context; ++j) {
    call.probabilities[at.Pair(i, j)] =
        j <= i ? static_cast<float>(std::exp(Score(call, at, i, j) - largest) / sum) : 0.0f;
  }
  for (int64_t d = 0; d < call.shape.head_width; ++d) {
    double value = 0;
    for (int64_t j = 0; j <= i; ++j) {
      value += static_cast<double>(call.probabilities[at.Pair(i, j)]) * call.qkv[at.Qkv(2, j, d)];
    }
    call.output[at.Output(i, d)] = static_cast<float>(value);
  }
}

}  // namespace

// probabilities = causal softmax(q k' / sqrt(head_width)), output = probabilities v, for each head
// of each sequence. Source: Vaswani et al. 2017, section 3.2.1.
void Compute(const AttentionCall& call) {
  for (int64_t sequence = 0; sequence < call.shape.batch; ++sequence) {
    for (int64_t head = 0; head < call.shape.heads; ++head) {
      for (int64_t i = 0; i < call.shape.context; ++i)
        AttendOneToken(call, {call.shape, sequence, head}, i);
    }
  }
}

}  // namespace ringmaster::reference
