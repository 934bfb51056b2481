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

}  // namespace ringmaster::cpu

#endif  // RINGMASTER_WORKER_KERNELS_CPU_OPS_H_
