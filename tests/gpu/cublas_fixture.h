#ifndef RINGMASTER_TESTS_GPU_CUBLAS_FIXTURE_H_
#define RINGMASTER_TESTS_GPU_CUBLAS_FIXTURE_H_

#include <cstdint>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "common/base/status_macros.h"
#include "gtest/gtest.h"
#include "tests/worker/kernels/device_array.h"
#include "worker/kernels/cublas/loader.h"

namespace ringmaster {

using Floats = DeviceArray<float>;
using Ints = DeviceArray<int32_t>;

// The library "cublas" on GPU 0.
inline absl::StatusOr<std::unique_ptr<KernelLibrary>> CreateCublas() {
  absl::StatusOr<std::unique_ptr<KernelLibrary>> kernels = LoadCublasLibrary(0);
  if (!kernels.ok()) return Annotate(kernels.status(), "no CUDA device to test on");
  return kernels;
}

class CublasLibraryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto kernels = CreateCublas();
    ASSERT_TRUE(kernels.ok()) << kernels.status();
    kernels_ = *std::move(kernels);
  }

  KernelLibrary& kernels() { return *kernels_; }

 private:
  std::unique_ptr<KernelLibrary> kernels_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_GPU_CUBLAS_FIXTURE_H_
