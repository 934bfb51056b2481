#ifndef RINGMASTER_WORKER_KERNELS_CPU_CPU_LIBRARY_H_
#define RINGMASTER_WORKER_KERNELS_CPU_CPU_LIBRARY_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "worker/kernels/cpu/loops/loops.h"
#include "worker/kernels/kernel_library.h"

namespace ringmaster {

// The library "cpu": matrix products by oneDNN on the calling thread alone, the rest by loops of
// our own for AVX2 and, where oneDNN takes it too, AVX-512: ONEDNN_MAX_CPU_ISA=AVX2 in the
// environment keeps both to AVX2. Unavailable: a processor without AVX2 and FMA.
absl::StatusOr<std::unique_ptr<KernelLibrary>> CreateCpuLibrary();

// The same with these loops, whatever oneDNN takes. Unavailable: null, which Avx512Loops gives on a
// processor without AVX-512.
absl::StatusOr<std::unique_ptr<KernelLibrary>> CreateCpuLibraryOf(const cpu::Loops* loops);

// Version and instruction set of the BLAS, and which of our loops run ("onednn 2.6.3
// avx512_core_bf16, loops avx512"): all that decides bits. Thread-safe.
std::string CpuBlasTarget();

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_KERNELS_CPU_CPU_LIBRARY_H_
