#ifndef RINGMASTER_WORKER_KERNELS_REGISTRY_H_
#define RINGMASTER_WORKER_KERNELS_REGISTRY_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "worker/kernels/kernel_library.h"

namespace ringmaster {

// The kernel library `name` ("auto", "reference", "cpu", "cublas") for one worker. "auto" is cublas where the CUDA
// library loads and finds a device, else cpu. `device` picks the GPU (ignored on the host).
// NotFound: unknown name, known ones listed. Unavailable: cublas without a library, driver or device; the message says
// which. FailedPrecondition: a CUDA library of another build. "cpu" keeps its BLAS to one thread in whichever thread
// calls.
absl::StatusOr<std::unique_ptr<KernelLibrary>> CreateKernelLibrary(absl::string_view name, int device);

// What "cublas" would say here, for `doctor`: OK with a description of the devices, or why not.
absl::StatusOr<std::string> DescribeCuda();
// The CPU BLAS and its instruction set, for `doctor`.
std::string DescribeCpuBlas();

struct KernelLibraryInfo {
  const char* name;
  const char* summary;
};
absl::Span<const KernelLibraryInfo> KernelLibraries();

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_KERNELS_REGISTRY_H_
