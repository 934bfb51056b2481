#include "worker/kernels/reference/ops.h"

namespace ringmaster::reference {

// output[r] = token_table[tokens[r]] + position_table[r mod context].
void Compute(const EmbeddingCall& call) {
  for (int64_t row = 0; row < call.rows; ++row) {
    for (int64_t i = 0; i < call.width; ++i) {
      call.output[row * call.width + i] = call.token_table[call.tokens[row] * call.width + i] +
                                          call.position_table[row % call.context * call.width + i];
    }
  }
}

// token_gradient[v] (+)= the output gradients of the rows with token v, position_gradient[p] =
// those of the rows at position p.
void Compute(const EmbeddingGradientCall& call) {
  for (int64_t token = 0; token < call.vocabulary; ++token) {
    for (int64_t i = 0; i < call.width; ++i) {
      float& gradient = call.token_gradient[token * call.width + i];
      double sum = call.accumulate ? gradient : 0.0;
      for (int64_t row = 0; row < call.rows; ++row) {
        if (call.tokens[row] == token) sum += call.output_gradient[row * call.width + i];
      }
      gradient = static_cast<float>(sum);
    }
  }
  for (int64_t position = 0; position < call.context; ++position) {
    for (int64_t i = 0; i < call.width; ++i) {
      double sum = 0;
      for (int64_t row = position; row < call.rows; row += call.context) {
        sum += call.output_gradient[row * call.width + i];
      }
      call.position_gradient[position * call.width + i] = static_cast<float>(sum);
    }
  }
}

}  // namespace ringmaster::reference
