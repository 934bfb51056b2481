#ifndef RINGMASTER_WORKER_KERNELS_CPU_CPU_LIBRARY_H_
#define RINGMASTER_WORKER_KERNELS_CPU_CPU_LIBRARY_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "worker/kernels/kernel_library.h"

namespace ringmaster {

// The library "cpu": matrix products by oneDNN on the calling thread alone, the rest by AVX2 loops.
// Unavailable: a processor without AVX2 and FMA.
absl::StatusOr<std::unique_ptr<KernelLibrary>> CreateCpuLibrary();

// Version and instruction set of the BLAS, and whether convolutions are our own in AVX-512
// ("onednn 2.6.3 avx512_core_bf16, convolutions avx512"): all that decides bits. Thread-safe.
std::string CpuBlasTarget();

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_KERNELS_CPU_CPU_LIBRARY_H_
