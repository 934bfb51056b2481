#ifndef RINGMASTER_WORKER_KERNELS_CPU_OPS_H_
#define RINGMASTER_WORKER_KERNELS_CPU_OPS_H_

#include <string>

#include "absl/status/status.h"
#include "worker/kernels/kernel_library.h"

// The operations as kernel_library.h defines them, one a file. The order of every sum depends on the sizes alone,
// never on the alignment of memory or the thread. Sizes have been checked (check_call.h). Thread-safe.
namespace ringmaster::cpu {

// By oneDNN, on one thread: sets the calling thread's OpenMP to one. Internal: oneDNN's refusal, with the sizes.
absl::Status Gemm(const GemmCall& call);
// "onednn 2.6.3 avx512_core_bf16": the version and the instruction set that choose Gemm's kernels.
std::string GemmTarget();

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

// Short contexts by AVX-512, all others by Gemm, whose errors they pass on.
absl::Status Attention(const AttentionCall& call);
absl::Status AttentionBackward(const AttentionBackwardCall& call);
// What AttentionBackward takes: one block's gradients of scores.
int64_t AttentionScratchFloats(const AttentionShape& shape);

}  // namespace ringmaster::cpu

#endif  // RINGMASTER_WORKER_KERNELS_CPU_OPS_H_
