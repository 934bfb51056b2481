#ifndef RINGMASTER_WORKER_KERNELS_CUBLAS_CUDA_STATUS_H_
#define RINGMASTER_WORKER_KERNELS_CUBLAS_CUDA_STATUS_H_

#include <cublas_v2.h>
#include <cuda_runtime.h>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace ringmaster {

// "cublas <what>: cudaErrorName (code), <CUDA's own text>" as ResourceExhausted (no memory),
// Unavailable (driver or device missing, busy or lost to the process) or Internal, with what to do;
// OK for cudaSuccess. Takes the error off the thread's CUDA state, so that a later launch does not
// report it as its own (one that broke the device stays).
absl::Status CudaStatus(cudaError_t code, absl::string_view what);

// The same for cuBLAS's codes.
absl::Status CublasStatus(cublasStatus_t code, absl::string_view what);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_KERNELS_CUBLAS_CUDA_STATUS_H_
