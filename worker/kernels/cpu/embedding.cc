#include <algorithm>

#include "worker/kernels/cpu/ops.h"

namespace ringmaster::cpu {
namespace {

// to[i] += from[i]
inline void AddRow(const float* __restrict from, float* __restrict to, int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i] += from[i];
}

}  // namespace

// output[r] = token_table[tokens[r]] + position_table[r mod context].
void Compute(const EmbeddingCall& call) {
  for (int64_t row = 0; row < call.rows; ++row) {
    const float* token = call.token_table + call.tokens[row] * call.width;
    const float* position = call.position_table + row % call.context * call.width;
    float* __restrict output = call.output + row * call.width;
    for (int64_t i = 0; i < call.width; ++i) output[i] = token[i] + position[i];
  }
}

// token_gradient[v] (+)= the output gradients of the rows with token v, position_gradient[p] =
// those of the rows at position p; both summed in ascending order of rows.
void Compute(const EmbeddingGradientCall& call) {
  if (!call.accumulate) std::fill_n(call.token_gradient, call.vocabulary * call.width, 0.0f);
  std::fill_n(call.position_gradient, call.context * call.width, 0.0f);
  for (int64_t row = 0; row < call.rows; ++row) {
    const float* gradient = call.output_gradient + row * call.width;
    AddRow(gradient, call.token_gradient + call.tokens[row] * call.width, call.width);
    AddRow(gradient, call.position_gradient + row % call.context * call.width, call.width);
  }
}

}  // namespace ringmaster::cpu
