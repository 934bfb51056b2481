// c[m, n] = alpha * op(a) op(b) + beta * c, row-major, by cuBLAS. cuBLAS is column-major: it reads
// a row-major matrix as its transpose, so c^T = op(b)^T op(a)^T needs no copy, only the operands
// and m, n swapped.

#include "worker/kernels/cublas/launchers.h"

namespace ringmaster {
namespace {

// c = beta * c, which is what is left of a product over k = 0.
cublasStatus_t ScaleOnly(const GemmCall& call, cublasHandle_t handle) {
  if (call.beta == 1.0f) return CUBLAS_STATUS_SUCCESS;
  if (call.beta != 0.0f) {
    const float zero = 0.0f;
    return cublasSgeam_64(handle, CUBLAS_OP_N, CUBLAS_OP_N, call.n, call.m, &call.beta, call.c,
                          call.ldc, &zero, call.c, call.ldc, call.c, call.ldc);
  }
  cudaStream_t stream = nullptr;
  const cublasStatus_t status = cublasGetStream(handle, &stream);
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  const cudaError_t code = cudaMemset2DAsync(call.c, call.ldc * sizeof(float), 0,
                                             call.n * sizeof(float), call.m, stream);
  return code == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}

}  // namespace

cublasStatus_t Launch(const GemmCall& call, const DeviceQueue& queue) {
  if (call.m == 0 || call.n == 0) return CUBLAS_STATUS_SUCCESS;
  if (call.k == 0) return ScaleOnly(call, queue.handle);
  return cublasSgemm_64(queue.handle, call.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N,
                        call.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N, call.n, call.m, call.k,
                        &call.alpha, call.b, call.ldb, call.a, call.lda, &call.beta, call.c,
                        call.ldc);
}

}  // namespace ringmaster
