// Without the CUDA Toolkit nothing but the library is missing, and the program says so.

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "worker/kernels/cublas/loader.h"

namespace ringmaster {
namespace {

TEST(LeftOutCudaLibrary, IsUnavailableBecauseOfTheLibraryAndNothingElse) {
  const absl::Status status = LoadCublasLibrary(0).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              ::testing::StartsWith("cuda library libringmaster_cuda.so not found"));
}

}  // namespace
}  // namespace ringmaster
