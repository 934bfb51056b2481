#include <cmath>

#include "worker/kernels/reference/attention_head.h"
#include "worker/kernels/reference/ops.h"

namespace ringmaster::reference {
namespace {

// The gradient of probabilities[i][j]: output_gradient_i . v_j
double ProbabilityGradient(const AttentionBackwardCall& call, const AttentionHead& at, int64_t i,
                           int64_t j) {
  double sum = 0;
  for (int64_t d = 0; d < call.shape.head_width; ++d) {
    sum += static_cast<double>(call.output_gradient[at.Output(i, d)]) * call.qkv[at.Qkv(2, j, d)];
  }
  return sum;
}

// scratch = the gradient of the scores q_i . k_j / sqrt(head_width), j <= i, through the softmax of
// each row; rounded once to float.
void ScoreGradients(const AttentionBackwardCall& call, const AttentionHead& at) {
  for (int64_t i = 0; i < call.shape.context; ++i) {
    double mean = 0;
    for (int64_t j = 0; j <= i; ++j)
      mean += call.probabilities[at.Pair(i, j)] * ProbabilityGradient(call, at, i, j);
    for (int64_t j = 0; j <= i; ++j) {
      const double gradient =
          call.probabilities[at.Pair(i, j)] * (ProbabilityGradient(call, at, i, j) - mean);
      call.scratch[at.Pair(i, j)] = static_cast<float>(gradient);
    }
  }
}

// The gradients of query, key and value of one token in one dimension.
void GradientsOf(const AttentionBackwardCall& call, const AttentionHead& at, int64_t token,
                 int64_t d) {
  double query = 0, key = 0, value = 0;
  for (int64_t j = 0; j <= token; ++j) {
    query += static_cast<double>(call.scratch[at.Pair(token, j)]) * call.qkv[at.Qkv(1, j, d)];
  }
  for (int64_t i = token; i < call.shape.context; ++i) {
    key += static_cast<double>(call.scratch[at.Pair(i, token)]) * call.qkv[at.Qkv(0, i, d)];
    value += static_cast<double>(call.probabilities[at.Pair(i, token)]) *
             call.output_gradient[at.Output(i, d)];
  }
  const double scale = 1 / std::sqrt(static_cast<double>(call.shape.head_width));
  call.qkv_gradient[at.Qkv(0, token, d)] = static_cast<float>(query * scale);
  call.qkv_gradient[at.Qkv(1, token, d)] = static_cast<float>(key * scale);
  call.qkv_gradient[at.Qkv(2, token, d)] = static_cast<float>(value);
}

}  // namespace

// qkv_gradient from output_gradient, for each head of each sequence.
void Compute(const AttentionBackwardCall& call) {
  for (int64_t sequence = 0; sequence < call.shape.batch; ++sequence) {
    for (int64_t head = 0; head < call.shape.heads; ++head) {
      const AttentionHead at{call.shape, sequence, head};
      ScoreGradients(call, at);
      for (int64_t token = 0; token < call.shape.context; ++token) {
        for (int64_t d = 0; d < call.shape.head_width; ++d) GradientsOf(call, at, token, d);
      }
    }
  }
}

}  // namespace ringmaster::reference
