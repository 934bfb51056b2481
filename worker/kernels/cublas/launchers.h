#ifndef RINGMASTER_WORKER_KERNELS_CUBLAS_LAUNCHERS_H_
#define RINGMASTER_WORKER_KERNELS_CUBLAS_LAUNCHERS_H_

#include <cublas_v2.h>
#include <cuda_runtime.h>

#include "worker/kernels/kernel_library.h"

namespace ringmaster {

// One launcher an operation, each in a file of its own name. They queue the operation of kernel_library.h on `stream`
// of the thread's current device and return what the launch said. The call has passed CheckCall; it may be empty. Sums
// run in a fixed order and nothing is added atomically, so the same inputs give the same bits.

cudaError_t LaunchAddBias(const BiasCall& call, cudaStream_t stream);
cudaError_t LaunchBiasGradient(const BiasGradientCall& call, cudaStream_t stream);
cudaError_t LaunchReluBackward(const ReluBackwardCall& call, cudaStream_t stream);
cudaError_t LaunchIm2Col(const Im2ColCall& call, cudaStream_t stream);
cudaError_t LaunchCol2Im(const Col2ImCall& call, cudaStream_t stream);
cudaError_t LaunchMaxPool(const MaxPoolCall& call, cudaStream_t stream);
cudaError_t LaunchMaxPoolBackward(const MaxPoolBackwardCall& call, cudaStream_t stream);
cudaError_t LaunchSwapAxes(const SwapAxesCall& call, cudaStream_t stream);
// Sets *bad_label_row, which host and device both reach, to 1 + the row of a label that is no class, if there is one.
cudaError_t LaunchSoftmaxCrossEntropy(const SoftmaxCrossEntropyCall& call, int64_t* bad_label_row,
                                      cudaStream_t stream);

// On the handle's stream, in plain fp32 (the handle's math mode is the caller's).
cublasStatus_t LaunchGemm(const GemmCall& call, cublasHandle_t handle);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_KERNELS_CUBLAS_LAUNCHERS_H_
