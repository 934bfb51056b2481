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
void Relu(const ReluCall& call);
void Add(const AddCall& call);
void Gelu(const GeluCall& call);
void GeluBackward(const GeluBackwardCall& call);
void Dropout(const DropoutCall& call);
void AveragePool(const AveragePoolCall& call);
void AveragePoolBackward(const AveragePoolBackwardCall& call);
void Norm(const NormCall& call);
void NormInference(const NormInferenceCall& call);
void NormParamGradient(const NormParamGradientCall& call);
void NormInputGradient(const NormInputGradientCall& call);
void Embedding(const EmbeddingCall& call);
void EmbeddingGradient(const EmbeddingGradientCall& call);
void Attention(const AttentionCall& call);
void AttentionBackward(const AttentionBackwardCall& call);

}  // namespace ringmaster::reference

#endif  // RINGMASTER_WORKER_KERNELS_REFERENCE_OPS_H_
