#include "worker/kernels/cublas/cuda_status.h"

#include "absl/strings/str_cat.h"

namespace ringmaster {
namespace {

struct Meaning {
  absl::StatusCode code;
  const char* remedy;
};

constexpr Meaning kNoMemory = {absl::StatusCode::kResourceExhausted,
                               "use a smaller batch or model, or a device with more free memory"};
constexpr Meaning kNotThere = {
    absl::StatusCode::kUnavailable,
    "`nvidia-smi` shows the driver and its devices; kernel library \"cpu\" needs neither"};
constexpr Meaning kFailed = {
    absl::StatusCode::kInternal,
    "an operation queued before may be the cause: CUDA_LAUNCH_BLOCKING=1 shows which"};

Meaning MeaningOf(cudaError_t code) {
  switch (code) {
    case cudaErrorMemoryAllocation:
      return kNoMemory;
    case cudaErrorInsufficientDriver:
    case cudaErrorNoDevice:
    case cudaErrorInvalidDevice:
    case cudaErrorDevicesUnavailable:
    case cudaErrorSystemNotReady:
    case cudaErrorSystemDriverMismatch:
    case cudaErrorNoKernelImageForDevice:
      return kNotThere;
    default:
      return kFailed;
  }
}

Meaning MeaningOf(cublasStatus_t code) {
  switch (code) {
    case CUBLAS_STATUS_ALLOC_FAILED:
      return kNoMemory;
    case CUBLAS_STATUS_NOT_INITIALIZED:
    case CUBLAS_STATUS_ARCH_MISMATCH:
      return kNotThere;
    default:
      return kFailed;
  }
}

}  // namespace

absl::Status CudaStatus(cudaError_t code, absl::string_view what) {
  if (code == cudaSuccess) return absl::OkStatus();
  cudaGetLastError();
  const Meaning meaning = MeaningOf(code);
  return absl::Status(meaning.code, absl::StrCat("cublas ", what, ": ", cudaGetErrorName(code),
                                                 " (", static_cast<int>(code), "), ",
                                                 cudaGetErrorString(code), "; ", meaning.remedy));
}

absl::Status CublasStatus(cublasStatus_t code, absl::string_view what) {
  if (code == CUBLAS_STATUS_SUCCESS) return absl::OkStatus();
  cudaGetLastError();
  const Meaning meaning = MeaningOf(code);
  return absl::Status(meaning.code,
                      absl::StrCat("cublas ", what, ": ", cublasGetStatusName(code), " (",
                                   static_cast<int>(code), "); ", meaning.remedy));
}

}  // namespace ringmaster
