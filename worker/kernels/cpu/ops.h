#ifndef RINGMASTER_WORKER_KERNELS_CPU_OPS_H_
#define RINGMASTER_WORKER_KERNELS_CPU_OPS_H_

#include <string>

#include "absl/status/status.h"
#include "worker/kernels/calls.h"
#include "worker/kernels/cpu/loops/loops.h"
#include "worker/kernels/host_ops.h"

// The operations as calls.h defines them, one a file. The order of every sum depends on the sizes
// alone, never on the alignment of memory or the thread. Sizes have been checked (check_call.h).
// Thread-safe.
namespace ringmaster::cpu {

// The widest loops that the processor has and that oneDNN may use (ONEDNN_MAX_CPU_ISA): one choice
// for both.
const Loops& BestLoops();

// Gemm by the loops for few rows, else by oneDNN, on one thread: sets the calling thread's OpenMP
// to one. Internal: oneDNN's refusal, with the sizes.
absl::Status Compute(const GemmCall& call, const Loops& loops);
// "onednn 2.6.3 avx512_core_bf16": the version and the instruction set that choose Gemm's kernels.
std::string GemmTarget();

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
void Compute(const DropoutCall& call);
void Compute(const AveragePoolCall& call);
void Compute(const AveragePoolBackwardCall& call);
void Compute(const NormCall& call);
void Compute(const NormInferenceCall& call);
void Compute(const NormParamGradientCall& call);
void Compute(const NormInputGradientCall& call);
void Compute(const EmbeddingCall& call);
void Compute(const EmbeddingGradientCall& call);
void Compute(const UpdateCall& call);

// Short contexts by the loops, all others by Gemm, whose errors they pass on.
absl::Status Compute(const AttentionCall& call, const Loops& loops);
absl::Status Compute(const AttentionBackwardCall& call, const Loops& loops);
// What AttentionBackward takes: one block's gradients of scores.
int64_t AttentionScratchFloats(const AttentionShape& shape);

inline void DirectConvolution(const ConvolutionCall& call, const Loops& loops) {
  loops.convolution(call);
}
inline void DirectConvolution(const ConvolutionWeightGradientCall& call, const Loops& loops) {
  loops.convolution_weights(call);
}
inline void DirectConvolution(const ConvolutionInputGradientCall& call, const Loops& loops) {
  loops.convolution_inputs(call);
}
inline void Compute(const GeluCall& call, const Loops& loops) { loops.gelu(call); }
inline void Compute(const GeluBackwardCall& call, const Loops& loops) { loops.gelu_backward(call); }

using host::Compute;

}  // namespace ringmaster::cpu

#endif  // RINGMASTER_WORKER_KERNELS_CPU_OPS_H_
