#ifndef RINGMASTER_WORKER_KERNELS_REGISTRY_H_
#define RINGMASTER_WORKER_KERNELS_REGISTRY_H_

#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "worker/kernels/kernel_library.h"

namespace ringmaster {

// The kernel library `name` ("auto", "reference", "cpu", "cublas", "cublas_tf32") for one worker.
// "auto" is cublas where the CUDA library loads and finds a device, else cpu; TF32 must be asked
// for. `device` picks the GPU (ignored on the host). NotFound: unknown name, known ones listed.
// Unavailable: cublas (of either kind) without a library, driver or device; the message says which.
// FailedPrecondition: a CUDA library of another build. "cpu" keeps its BLAS to one thread in
// whichever thread calls.
absl::StatusOr<std::unique_ptr<KernelLibrary>> CreateKernelLibrary(absl::string_view name,
                                                                   int device);

// What "cublas" would say here, for `doctor`: OK with a description of the devices, or why not.
absl::StatusOr<std::string> DescribeCuda();
// How many GPUs this machine shows, at least 1, or why "cublas" cannot run here.
absl::StatusOr<int> CudaDeviceCount();
// The CPU BLAS and its instruction set, for `doctor`.
std::string DescribeCpuBlas();

// Seconds that the calls which `work` makes to `kernels` take where they run, after everything
// called before: between two events of a device's stream, by the clock on the host. Waits for them;
// makes events, so it is for benchmarks and no part of a step. An error of `work` is handed on.
absl::StatusOr<double> TimeCalls(KernelLibrary& kernels, absl::FunctionRef<absl::Status()> work);

struct KernelLibraryInfo {
  const char* name;
  const char* summary;
};
absl::Span<const KernelLibraryInfo> KernelLibraries();

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_KERNELS_REGISTRY_H_
