#include "worker/kernels/registry.h"

#include <chrono>

#include "absl/strings/str_cat.h"
#include "common/base/known_words.h"
#include "common/base/status_macros.h"
#include "worker/kernels/cpu/cpu_library.h"
#include "worker/kernels/cublas/loader.h"
#include "worker/kernels/reference/reference_library.h"

namespace ringmaster {
namespace {

constexpr KernelLibraryInfo kLibraries[] = {
    {"auto", "cublas where a CUDA device is found, else cpu"},
    {"cpu", "oneDNN for matrix products, SIMD for the rest"},
    {"cublas", "CUDA kernels and cuBLAS on one GPU, products in fp32"},
    {"cublas_tf32", "the same with products in TF32: faster, and of 10 bits"},
    {"reference", "naive loops, the oracle of the others; slow"},
};

// cublas where it can run. A library that is there but of another build is an error to be seen, not
// a reason to be slow.
absl::StatusOr<std::unique_ptr<KernelLibrary>> CreateBest(int device) {
  absl::StatusOr<std::unique_ptr<KernelLibrary>> cublas = LoadCublasLibrary(device);
  if (cublas.ok() || !absl::IsUnavailable(cublas.status())) return cublas;
  return CreateCpuLibrary();
}

}  // namespace

absl::StatusOr<std::unique_ptr<KernelLibrary>> CreateKernelLibrary(absl::string_view name,
                                                                   int device) {
  if (name == "auto") return CreateBest(device);
  if (name == "cpu") return CreateCpuLibrary();
  if (name == "cublas") return LoadCublasLibrary(device);
  if (name == "cublas_tf32") return LoadCublasLibrary(device, "", ProductPrecision::kTf32);
  if (name == "reference") return std::unique_ptr<KernelLibrary>(new ReferenceLibrary());
  return absl::NotFoundError(absl::StrCat("kernel library \"", name, "\": unknown; ",
                                          KnownWordsText(name, RegistryNames(kLibraries))));
}

absl::StatusOr<std::string> DescribeCuda() { return DescribeCublas(); }

absl::StatusOr<int> CudaDeviceCount() { return CountCublasDevices(); }

absl::StatusOr<double> TimeCalls(KernelLibrary& kernels, absl::FunctionRef<absl::Status()> work) {
  if (kernels.place() == Place::kDevice) return TimeCublasCalls(kernels, work);
  const auto begin = std::chrono::steady_clock::now();
  RM_RETURN_IF_ERROR(work());
  RM_RETURN_IF_ERROR(kernels.Finish());
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

std::string DescribeCpuBlas() { return CpuBlasTarget(); }

absl::Span<const KernelLibraryInfo> KernelLibraries() { return kLibraries; }

}  // namespace ringmaster
