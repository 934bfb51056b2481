#ifndef RINGMASTER_WORKER_KERNELS_CUBLAS_LAUNCHERS_H_
#define RINGMASTER_WORKER_KERNELS_CUBLAS_LAUNCHERS_H_

#include <cublas_v2.h>
#include <cuda_runtime.h>

#include <cstdint>

#include "worker/kernels/calls.h"

namespace ringmaster {

// Floats of device memory in which column sums (column_sums.h) keep the sums of their parts, at
// most kColumnSumsMax of them at once. The library owns it; launches of one stream follow each
// other and share it.
constexpr int kColumnSumsMax = 2;
constexpr int64_t kPartialFloats = int64_t{64} << 10;

// What launchers queue operations on: a stream, the cuBLAS handle on it, and memory for operations
// of this stream.
struct DeviceQueue {
  cudaStream_t stream = nullptr;
  cublasHandle_t handle = nullptr;
  float* partials = nullptr;  // kPartialFloats
  // Both are reached by host and device.
  int64_t* bad_label_row = nullptr;
  int64_t* bad_token_row = nullptr;
};

// One launcher an operation, in a file of the operation's name. They queue the operation of calls.h
// on `queue` of the thread's current device and return what the launch said. The call has passed
// CheckCall; it may be empty. Sums run in a fixed order and nothing is added atomically, so the
// same inputs give the same bits.

// In the handle's math mode.
cublasStatus_t Launch(const GemmCall& call, const DeviceQueue& queue);
cudaError_t Launch(const BiasCall& call, const DeviceQueue& queue);
cudaError_t Launch(const BiasGradientCall& call, const DeviceQueue& queue);
cudaError_t Launch(const ReluBackwardCall& call, const DeviceQueue& queue);
cudaError_t Launch(const Im2ColCall& call, const DeviceQueue& queue);
cudaError_t Launch(const Col2ImCall& call, const DeviceQueue& queue);
cudaError_t Launch(const MaxPoolCall& call, const DeviceQueue& queue);
cudaError_t Launch(const MaxPoolBackwardCall& call, const DeviceQueue& queue);
cudaError_t Launch(const SwapAxesCall& call, const DeviceQueue& queue);
// Sets *bad_label_row to 1 + the row of a label that is no class, if there is one.
cudaError_t Launch(const SoftmaxCrossEntropyCall& call, const DeviceQueue& queue);
cudaError_t Launch(const ReluCall& call, const DeviceQueue& queue);
cudaError_t Launch(const AddCall& call, const DeviceQueue& queue);
cudaError_t Launch(const GeluCall& call, const DeviceQueue& queue);
cudaError_t Launch(const GeluBackwardCall& call, const DeviceQueue& queue);
cudaError_t Launch(const DropoutCall& call, const DeviceQueue& queue);
cudaError_t Launch(const AveragePoolCall& call, const DeviceQueue& queue);
cudaError_t Launch(const AveragePoolBackwardCall& call, const DeviceQueue& queue);
cudaError_t Launch(const NormCall& call, const DeviceQueue& queue);
cudaError_t Launch(const NormInferenceCall& call, const DeviceQueue& queue);
cudaError_t Launch(const NormParamGradientCall& call, const DeviceQueue& queue);
cudaError_t Launch(const NormInputGradientCall& call, const DeviceQueue& queue);
// Both set *bad_token_row, as a bad label's row is set.
cudaError_t Launch(const EmbeddingCall& call, const DeviceQueue& queue);
cudaError_t Launch(const EmbeddingGradientCall& call, const DeviceQueue& queue);
cudaError_t Launch(const EncodeCall& call, const DeviceQueue& queue);
int64_t EncodeScratchBytes(EncodeKind kind, int64_t count);
cudaError_t Launch(const UpdateCall& call, const DeviceQueue& queue);
cudaError_t Launch(const FillZeroCall& call, const DeviceQueue& queue);
cudaError_t Launch(const CopyFloatsCall& call, const DeviceQueue& queue);

// Attention: the scaled scores into `probabilities`, their softmax in place, and the output.
cublasStatus_t LaunchAttentionScores(const AttentionCall& call, cublasHandle_t handle);
cudaError_t LaunchAttentionSoftmax(const AttentionCall& call, cudaStream_t stream);
cublasStatus_t LaunchAttentionOutput(const AttentionCall& call, cublasHandle_t handle);
// Its backward: the probabilities' gradient into `scratch`, from it in place the gradient of q . k,
// and from that and the probabilities the gradients of queries, keys and values.
cublasStatus_t LaunchAttentionProbabilityGradient(const AttentionBackwardCall& call,
                                                  cublasHandle_t handle);
cudaError_t LaunchAttentionSoftmaxBackward(const AttentionBackwardCall& call, cudaStream_t stream);
cublasStatus_t LaunchAttentionQkvGradient(const AttentionBackwardCall& call, cublasHandle_t handle);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_KERNELS_CUBLAS_LAUNCHERS_H_
