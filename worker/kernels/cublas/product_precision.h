#ifndef RINGMASTER_WORKER_KERNELS_CUBLAS_PRODUCT_PRECISION_H_
#define RINGMASTER_WORKER_KERNELS_CUBLAS_PRODUCT_PRECISION_H_

namespace ringmaster {

// How cuBLAS multiplies: plain fp32, or operands rounded to TF32 (10 bits of mantissa) on tensor
// cores, summed in fp32.
enum class ProductPrecision : int { kFp32, kTf32 };

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_KERNELS_CUBLAS_PRODUCT_PRECISION_H_
