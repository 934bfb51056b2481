#ifndef RINGMASTER_WORKER_KERNELS_CUBLAS_LOADER_H_
#define RINGMASTER_WORKER_KERNELS_CUBLAS_LOADER_H_

#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "worker/kernels/cublas/product_precision.h"
#include "worker/kernels/kernel_library.h"

namespace ringmaster {

// The CUDA kernel library is a shared object, libringmaster_cuda.so, loaded on demand, so that one
// program runs with and without CUDA on the machine. `directory` is where it lies; empty (the
// default) searches, in this order: the folder of the running program, then the program's Bazel
// runfiles. Once loaded it stays for the life of the process, since buffers hold its code. All
// functions may be called from any thread.

// The kernel library of GPU `device`, counted from 0. The result belongs to the caller, one thread
// at a time. Unavailable: no library (not found, or what it links to does not load), no driver, or
// no such device that it can use; the message begins with which of the three ("cuda library", "cuda
// driver", "cuda device") and says what to do. FailedPrecondition: the library is of another build.
absl::StatusOr<std::unique_ptr<KernelLibrary>> LoadCublasLibrary(
    int device, absl::string_view directory = "",
    ProductPrecision precision = ProductPrecision::kFp32);

// For `doctor`: driver and runtime, and a line a device with its compute capability, which says so
// where that is below 8.0 and the kernels cannot run. Errors as LoadCublasLibrary; a machine whose
// devices are all too old is OK here.
absl::StatusOr<std::string> DescribeCublas(absl::string_view directory = "");

// How many devices the driver shows, usable or not; at least 1. Errors as LoadCublasLibrary.
absl::StatusOr<int> CountCublasDevices(absl::string_view directory = "");

// Seconds on the device of the calls that `work` makes to `library`, which LoadCublasLibrary made;
// see TimeCalls.
absl::StatusOr<double> TimeCublasCalls(KernelLibrary& library,
                                       absl::FunctionRef<absl::Status()> work,
                                       absl::string_view directory = "");

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_KERNELS_CUBLAS_LOADER_H_
