#ifndef RINGMASTER_WORKER_KERNELS_CUBLAS_LAUNCHERS_H_
#define RINGMASTER_WORKER_KERNELS_CUBLAS_LAUNCHERS_H_

#include <cublas_v2.h>
#include <cuda_runtime.h>

#include "worker/kernels/kernel_library.h"

namespace ringmaster {

// Floats of device memory in which column sums (column_sums.h) keep the sums of their parts, at most kColumnSumsMax of
// them at once. The library owns it; launches of one stream follow each other and share it.
constexpr int kColumnSumsMax = 2;
constexpr int64_t kPartialFloats = int64_t{64} << 10;

// One launcher an operation, each in a file of its own name. They queue the operation of kernel_library.h on `stream`
// of the thread's current device and return what the launch said. The call has passed CheckCall; it may be empty. Sums
// run in a fixed order and nothing is added atomically, so the same inputs give the same bits.

cudaError_t LaunchAddBias(const BiasCall& call, cudaStream_t stream);
cudaError_t LaunchBiasGradient(const BiasGradientCall& call, float* partials, cudaStream_t stream);
cudaError_t LaunchReluBackward(const ReluBackwardCall& call, cudaStream_t stream);
cudaError_t LaunchIm2Col(const Im2ColCall& call, cudaStream_t stream);
cudaError_t LaunchCol2Im(const Col2ImCall& call, cudaStream_t stream);
cudaError_t LaunchMaxPool(const MaxPoolCall& call, cudaStream_t stream);
cudaError_t LaunchMaxPoolBackward(const MaxPoolBackwardCall& call, cudaStream_t stream);
cudaError_t LaunchSwapAxes(const SwapAxesCall& call, cudaStream_t stream);
// Sets *bad_label_row, which host and device both reach, to 1 + the row of a label that is no class, if there is one.
cudaError_t LaunchSoftmaxCrossEntropy(const SoftmaxCrossEntropyCall& call, int64_t* bad_label_row,
                                      cudaStream_t stream);


cudaError_t LaunchRelu(const ReluCall& call, cudaStream_t stream);
cudaError_t LaunchAdd(const AddCall& call, cudaStream_t stream);
cudaError_t LaunchGelu(const GeluCall& call, cudaStream_t stream);
cudaError_t LaunchGeluBackward(const GeluBackwardCall& call, cudaStream_t stream);
cudaError_t LaunchDropout(const DropoutCall& call, cudaStream_t stream);
int64_t EncodeScratchBytes(EncodeKind kind, int64_t count);
cudaError_t LaunchEncode(const EncodeCall& call, cudaStream_t stream);
cudaError_t LaunchAveragePool(const AveragePoolCall& call, cudaStream_t stream);
cudaError_t LaunchAveragePoolBackward(const AveragePoolBackwardCall& call, cudaStream_t stream);
cudaError_t LaunchNorm(const NormCall& call, cudaStream_t stream);
cudaError_t LaunchNormInference(const NormInferenceCall& call, cudaStream_t stream);
cudaError_t LaunchNormParamGradient(const NormParamGradientCall& call, float* partials, cudaStream_t stream);
cudaError_t LaunchNormInputGradient(const NormInputGradientCall& call, cudaStream_t stream);
// Both set *bad_token_row, as a bad label's row is set.
cudaError_t LaunchEmbedding(const EmbeddingCall& call, int64_t* bad_token_row, cudaStream_t stream);
cudaError_t LaunchEmbeddingGradient(const EmbeddingGradientCall& call, int64_t* bad_token_row, cudaStream_t stream);

// Attention: the scaled scores into `probabilities`, their softmax in place, and the output.
cublasStatus_t LaunchAttentionScores(const AttentionCall& call, cublasHandle_t handle);
cudaError_t LaunchAttentionSoftmax(const AttentionCall& call, cudaStream_t stream);
cublasStatus_t LaunchAttentionOutput(const AttentionCall& call, cublasHandle_t handle);
// Its backward: the probabilities' gradient into `scratch`, from it in place the gradient of q . k, and from that and
// the probabilities the gradients of queries, keys and values.
cublasStatus_t LaunchAttentionProbabilityGradient(const AttentionBackwardCall& call, cublasHandle_t handle);
cudaError_t LaunchAttentionSoftmaxBackward(const AttentionBackwardCall& call, cudaStream_t stream);
cublasStatus_t LaunchAttentionQkvGradient(const AttentionBackwardCall& call, cublasHandle_t handle);

// On the handle's stream, in the handle's math mode.
cublasStatus_t LaunchGemm(const GemmCall& call, cublasHandle_t handle);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_KERNELS_CUBLAS_LAUNCHERS_H_
