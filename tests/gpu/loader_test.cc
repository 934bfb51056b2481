#include "worker/kernels/cublas/loader.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "worker/kernels/cublas/plugin.h"

namespace ringmaster {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr int kNoSuchDevice = 1000000;

std::string RunfilesFolder(const std::string& name) {
  return std::string(std::getenv("TEST_SRCDIR")) + "/ringmaster/tests/gpu/" + name;
}

TEST(CublasLoader, AMissingLibraryIsUnavailableAndNamesWhereItWasLookedFor) {
  const absl::Status status = LoadCublasLibrary(0, "/no/such/folder").status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              StartsWith("cuda library libringmaster_cuda.so not found"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("/no/such/folder/libringmaster_cuda.so"));
  EXPECT_EQ(DescribeCublas("/no/such/folder").status(), status);
}

TEST(CublasLoader, AFileThatIsNoSharedObjectIsUnavailableWithTheLinkersReason) {
  const std::filesystem::path folder = std::filesystem::path(std::getenv("TEST_TMPDIR")) / "junk";
  std::filesystem::create_directories(folder);
  std::ofstream(folder / CudaPlugin::kFileName) << "not a shared object";
  const absl::Status status = LoadCublasLibrary(0, folder.string()).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()), StartsWith("cuda library"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("does not load"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("libringmaster_cuda.so: "));
}

TEST(CublasLoader, ALibraryOfAnotherBuildIsRefusedBeforeItIsUsed) {
  const absl::Status status = LoadCublasLibrary(0, RunfilesFolder("other_build")).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("another build"));
  EXPECT_THAT(std::string(status.message()), HasSubstr(kInterfaceStamp));
}

TEST(CublasLoader, ASharedObjectWithoutTheBoundaryIsRefused) {
  const absl::Status status = LoadCublasLibrary(0, RunfilesFolder("stampless")).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("exports no ringmaster_cuda_stamp"));
}

TEST(CublasLoader, ADeviceThatIsNotThereIsUnavailableAndTheMessageNamesLibraryDriverOrDevice) {
  const absl::Status status = LoadCublasLibrary(kNoSuchDevice).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(
      std::string(status.message()),
      AnyOf(StartsWith("cuda library "), StartsWith("cuda driver: "), StartsWith("cuda device")));
}

TEST(CublasLoader, ANegativeDeviceIsUnavailable) {
  EXPECT_TRUE(absl::IsUnavailable(LoadCublasLibrary(-1).status()));
}

TEST(CublasLoader, DevicesAreCountedOrMissingForTheSameReasonAsLoading) {
  const absl::StatusOr<int> count = CountCublasDevices();
  if (count.ok()) {
    EXPECT_GE(*count, 1);
  } else {
    EXPECT_EQ(count.status(), LoadCublasLibrary(0).status());
  }
}

TEST(CublasLoader, TheDescriptionHoldsDevicesOrTheSameReasonAsLoading) {
  const absl::StatusOr<std::string> described = DescribeCublas();
  if (described.ok()) {
    EXPECT_THAT(*described, HasSubstr("device 0: "));
    EXPECT_THAT(*described, HasSubstr("compute capability "));
  } else {
    EXPECT_EQ(described.status(), LoadCublasLibrary(0).status());
  }
}

}  // namespace
}  // namespace ringmaster
