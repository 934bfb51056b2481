#include "worker/kernels/cublas/devices.h"

#include <cublas_v2.h>
#include <cuda_runtime.h>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "worker/kernels/cublas/cuda_status.h"
#include "worker/kernels/cublas/device_text.h"

namespace ringmaster {
namespace {

// CUDA's way to write a version: 13000 is 13.0.
std::string VersionText(int version) {
  return absl::StrCat(version / 1000, ".", version % 1000 / 10);
}

absl::StatusOr<DeviceFacts> FactsOf(int device) {
  cudaDeviceProp properties;
  RM_RETURN_IF_ERROR(CudaStatus(cudaGetDeviceProperties(&properties, device),
                                absl::StrCat("properties of device ", device)));
  DeviceFacts facts;
  facts.device = device;
  facts.name = properties.name;
  facts.capability_major = properties.major;
  facts.capability_minor = properties.minor;
  facts.memory_bytes = static_cast<int64_t>(properties.totalGlobalMem);
  facts.multiprocessors = properties.multiProcessorCount;
  return facts;
}

}  // namespace

absl::StatusOr<int> CountDevices() {
  int runtime = 0, driver = 0;
  RM_RETURN_IF_ERROR(CudaStatus(cudaRuntimeGetVersion(&runtime), "runtime version"));
  RM_RETURN_IF_ERROR(CudaStatus(cudaDriverGetVersion(&driver), "driver version"));
  if (driver == 0) {
    return absl::UnavailableError(
        absl::StrCat("cuda driver: none on this machine, the CUDA ", VersionText(runtime),
                     " runtime needs one; install NVIDIA's driver, or use the kernel library "
                     "\"cpu\""));
  }
  int count = 0;
  const cudaError_t code = cudaGetDeviceCount(&count);
  if (code == cudaErrorInsufficientDriver) {
    return absl::UnavailableError(absl::StrCat(
        "cuda driver: it supports CUDA ", VersionText(driver), ", the runtime is ",
        VersionText(runtime), "; install a newer driver, or build with an older toolkit"));
  }
  if (code == cudaErrorNoDevice || (code == cudaSuccess && count == 0)) {
    return absl::UnavailableError(
        "cuda device: the driver shows none; see `nvidia-smi` and CUDA_VISIBLE_DEVICES, or use the "
        "kernel library \"cpu\"");
  }
  RM_RETURN_IF_ERROR(CudaStatus(code, "device count"));
  return count;
}

absl::StatusOr<std::string> UsableDevice(int device) {
  RM_ASSIGN_OR_RETURN(const int count, CountDevices());
  if (device < 0 || device >= count) {
    return absl::UnavailableError(
        absl::StrCat("cuda device ", device, ": this machine shows ", count, ", numbered 0 ", "to ",
                     count - 1, "; choose one of them, or see CUDA_VISIBLE_DEVICES"));
  }
  RM_ASSIGN_OR_RETURN(const DeviceFacts facts, FactsOf(device));
  return TargetOf(facts);
}

absl::StatusOr<std::string> DescribeDevices() {
  RM_ASSIGN_OR_RETURN(const int count, CountDevices());
  int runtime = 0, driver = 0, cublas_major = 0, cublas_minor = 0;
  RM_RETURN_IF_ERROR(CudaStatus(cudaRuntimeGetVersion(&runtime), "runtime version"));
  RM_RETURN_IF_ERROR(CudaStatus(cudaDriverGetVersion(&driver), "driver version"));
  RM_RETURN_IF_ERROR(CublasStatus(cublasGetProperty(MAJOR_VERSION, &cublas_major), "version"));
  RM_RETURN_IF_ERROR(CublasStatus(cublasGetProperty(MINOR_VERSION, &cublas_minor), "version"));
  std::string text =
      absl::StrCat("driver for CUDA ", VersionText(driver), ", runtime ", VersionText(runtime),
                   ", cuBLAS ", cublas_major, ".", cublas_minor, ", devices: ", count);
  for (int device = 0; device < count; ++device) {
    RM_ASSIGN_OR_RETURN(const DeviceFacts facts, FactsOf(device));
    absl::StrAppend(&text, "\n", DescriptionOf(facts));
  }
  return text;
}

}  // namespace ringmaster
