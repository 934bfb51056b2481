#include "worker/kernels/reference/ops.h"

namespace ringmaster::reference {

// c[m, n] = alpha * op(a) op(b) + beta * c; beta = 0 does not read c.
void Compute(const GemmCall& call) {
  const int64_t a_row = call.transpose_a ? 1 : call.lda;
  const int64_t a_inner = call.transpose_a ? call.lda : 1;
  const int64_t b_inner = call.transpose_b ? 1 : call.ldb;
  const int64_t b_col = call.transpose_b ? call.ldb : 1;
  for (int64_t row = 0; row < call.m; ++row) {
    for (int64_t col = 0; col < call.n; ++col) {
      double sum = 0;
      for (int64_t inner = 0; inner < call.k; ++inner) {
        sum += static_cast<double>(call.a[row * a_row + inner * a_inner]) *
               call.b[inner * b_inner + col * b_col];
      }
      float& c = call.c[row * call.ldc + col];
      const double kept = call.beta == 0.0f ? 0.0 : static_cast<double>(call.beta) * c;
      c = static_cast<float>(call.alpha * sum + kept);
    }
  }
}

}  // namespace ringmaster::reference
