#ifndef RINGMASTER_WORKER_KERNELS_REFERENCE_OPS_H_
#define RINGMASTER_WORKER_KERNELS_REFERENCE_OPS_H_

#include "worker/kernels/kernel_library.h"

// The operations as kernel_library.h defines them, one a file, in the plainest loops; sums in double precision, rounded
// once. Sizes have been checked (check_call.h). Pure, thread-safe.
namespace ringmaster::reference {

void Gemm(const GemmCall& call);
void AddBias(const BiasCall& call);
void BiasGradient(const BiasGradientCall& call);
void ReluBackward(const ReluBackwardCall& call);
void Im2Col(const Im2ColCall& call);
void Col2Im(const Col2ImCall& call);
void MaxPool(const MaxPoolCall& call);
void MaxPoolBackward(const MaxPoolBackwardCall& call);
void SwapAxes(const SwapAxesCall& call);
void SoftmaxCrossEntropy(const SoftmaxCrossEntropyCall& call);

}  // namespace ringmaster::reference

#endif  // RINGMASTER_WORKER_KERNELS_REFERENCE_OPS_H_
