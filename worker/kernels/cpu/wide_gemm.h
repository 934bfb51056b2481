#ifndef RINGMASTER_WORKER_KERNELS_CPU_WIDE_GEMM_H_
#define RINGMASTER_WORKER_KERNELS_CPU_WIDE_GEMM_H_

#include "worker/kernels/calls.h"

namespace ringmaster::cpu {

// The products of a linear layer of at most 64 rows, forward and weight gradient: a general product
// first copies the large operand into an order of its own, which takes as long as multiplying it by
// so few rows. Here the few rows are copied, and the weights are read, or written, once and where
// they lie. Needs AVX-512. The order of every sum depends on the sizes alone.

// Whether the call is one of those. alpha = 1 and beta = 0.
bool HasWideGemm(const GemmCall& call);
// Computes it. Thread-safe: each thread keeps scratch of its own, which grows with the largest
// call.
void WideGemm(const GemmCall& call);

}  // namespace ringmaster::cpu

#endif  // RINGMASTER_WORKER_KERNELS_CPU_WIDE_GEMM_H_
