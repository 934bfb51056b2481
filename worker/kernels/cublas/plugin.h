#ifndef RINGMASTER_WORKER_KERNELS_CUBLAS_PLUGIN_H_
#define RINGMASTER_WORKER_KERNELS_CUBLAS_PLUGIN_H_

#include <cstddef>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "worker/kernels/cublas/interface_stamp.h"
#include "worker/kernels/cublas/product_precision.h"
#include "worker/kernels/kernel_library.h"

namespace ringmaster {

// The boundary between the program, which knows no CUDA, and libringmaster_cuda.so, which it loads
// on demand. Both sides carry kInterfaceStamp, a digest of the headers that KernelLibrary is made
// of: a library of another build is refused before any of its virtual functions is called. Code and
// text: `status_code` is an absl::StatusCode, `text` a string of at most text_bytes - 1 characters
// and a terminating 0.
struct CudaPlugin {
  static constexpr char kFileName[] = "libringmaster_cuda.so";

  // The stamp the library was built with; never null. Any thread.
  static constexpr char kStampSymbol[] = "ringmaster_cuda_stamp";
  using Stamp = const char*();

  // Makes the kernel library of GPU `device`, with products of `precision`, in *library (the caller
  // deletes it), or leaves it null and puts the reason into `text`. The stream and handle belong to
  // the object; use it from one thread at a time.
  static constexpr char kCreateSymbol[] = "ringmaster_cuda_create";
  using Create = int(int device, ProductPrecision precision, KernelLibrary** library, char* text,
                     size_t text_bytes);

  // Puts a description of driver, runtime and devices, one device a line, into `text`, or why there
  // are none.
  static constexpr char kDescribeSymbol[] = "ringmaster_cuda_describe";
  using Describe = int(char* text, size_t text_bytes);

  // Puts the number of devices, at least 1, into *devices, or why there are none into `text`.
  static constexpr char kCountSymbol[] = "ringmaster_cuda_device_count";
  using Count = int(int* devices, char* text, size_t text_bytes);

  // Puts the seconds between two events of the stream of `library`, which Create made, into
  // *seconds: one before and one after the calls that `work` makes to it. Waits for both. An error
  // of `work` is handed on.
  static constexpr char kTimeSymbol[] = "ringmaster_cuda_time";
  using Time = int(KernelLibrary* library, absl::FunctionRef<absl::Status()> work, double* seconds,
                   char* text, size_t text_bytes);
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_KERNELS_CUBLAS_PLUGIN_H_
