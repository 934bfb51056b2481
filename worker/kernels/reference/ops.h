#ifndef RINGMASTER_WORKER_KERNELS_REFERENCE_OPS_H_
#define RINGMASTER_WORKER_KERNELS_REFERENCE_OPS_H_

#include "worker/kernels/calls.h"
#include "worker/kernels/host_ops.h"

// The operations as calls.h defines them, one a file, in the plainest loops; sums in double
// precision, rounded once. Sizes have been checked (check_call.h). Pure, thread-safe.
namespace ringmaster::reference {

void Compute(const GemmCall& call);
void Compute(const BiasCall& call);
void Compute(const BiasGradientCall& call);
void Compute(const ReluBackwardCall& call);
void Compute(const Im2ColCall& call);
void Compute(const Col2ImCall& call);
void Compute(const MaxPoolCall& call);
void Compute(const MaxPoolBackwardCall& call);
void Compute(const SwapAxesCall& call);
void Compute(const SoftmaxCrossEntropyCall& call);
void Compute(const ReluCall& call);
void Compute(const AddCall& call);
void Compute(const GeluCall& call);
void Compute(const GeluBackwardCall& call);
void Compute(const DropoutCall& call);
void Compute(const AveragePoolCall& call);
void Compute(const AveragePoolBackwardCall& call);
void Compute(const NormCall& call);
void Compute(const NormInferenceCall& call);
void Compute(const NormParamGradientCall& call);
void Compute(const NormInputGradientCall& call);
void Compute(const EmbeddingCall& call);
void Compute(const EmbeddingGradientCall& call);
void Compute(const AttentionCall& call);
void Compute(const AttentionBackwardCall& call);
void Compute(const UpdateCall& call);

using host::Compute;

}  // namespace ringmaster::reference

#endif  // RINGMASTER_WORKER_KERNELS_REFERENCE_OPS_H_
