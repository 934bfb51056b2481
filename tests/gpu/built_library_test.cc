// Where the CUDA Toolkit was found, its library must be there, load, and get as far as the driver.

#include <dlfcn.h>

#include <cstdlib>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "worker/kernels/cublas/loader.h"
#include "worker/kernels/cublas/plugin.h"

namespace ringmaster {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr int kNoSuchDevice = 1000000;

void* OpenLibrary() {
  const std::string path = std::string(std::getenv("TEST_SRCDIR")) +
                           "/ringmaster/worker/kernels/cublas/" + CudaPlugin::kFileName;
  return dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
}

TEST(BuiltCudaLibrary, LoadsAndCarriesThisProgramsStamp) {
  void* library = OpenLibrary();
  ASSERT_NE(library, nullptr) << dlerror();
  auto* stamp = reinterpret_cast<CudaPlugin::Stamp*>(dlsym(library, CudaPlugin::kStampSymbol));
  ASSERT_NE(stamp, nullptr);
  EXPECT_STREQ(stamp(), kInterfaceStamp);
  EXPECT_NE(dlsym(library, CudaPlugin::kCreateSymbol), nullptr);
  EXPECT_NE(dlsym(library, CudaPlugin::kDescribeSymbol), nullptr);
  EXPECT_NE(dlsym(library, CudaPlugin::kCountSymbol), nullptr);
  EXPECT_NE(dlsym(library, CudaPlugin::kTimeSymbol), nullptr);
}

TEST(BuiltCudaLibrary, IsFoundInTheRunfilesAndGetsAsFarAsDriverOrDevice) {
  const absl::Status status = LoadCublasLibrary(kNoSuchDevice).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              AnyOf(StartsWith("cuda driver: "), StartsWith("cuda device")));
  EXPECT_THAT(std::string(status.message()),
              AnyOf(HasSubstr("install"), HasSubstr("choose"), HasSubstr("nvidia-smi")));
}

TEST(BuiltCudaLibrary, CutsALongReasonToTheCallersTextAndEndsIt) {
  void* library = OpenLibrary();
  ASSERT_NE(library, nullptr) << dlerror();
  auto* create = reinterpret_cast<CudaPlugin::Create*>(dlsym(library, CudaPlugin::kCreateSymbol));
  ASSERT_NE(create, nullptr);
  char text[] = "0123456789";
  KernelLibrary* made = nullptr;
  EXPECT_EQ(create(kNoSuchDevice, ProductPrecision::kFp32, &made, text, 5),
            static_cast<int>(absl::StatusCode::kUnavailable));
  EXPECT_EQ(made, nullptr);
  EXPECT_EQ(std::string(text, sizeof(text)), std::string("cuda\00056789\0", 11));
}

}  // namespace
}  // namespace ringmaster
