#include "common/engine/one_device_each.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

using ::testing::HasSubstr;

TEST(OneDeviceEach, RanksWithADeviceEachPass) {
  EXPECT_TRUE(CheckOneDeviceEach(std::vector<std::string>{}).ok());
  EXPECT_TRUE(CheckOneDeviceEach(std::vector<std::string>{"GPU-a"}).ok());
  EXPECT_TRUE(CheckOneDeviceEach(std::vector<std::string>{"GPU-a", "GPU-b", "GPU-c"}).ok());
}

TEST(OneDeviceEach, TwoRanksOnOneAreNamedWithWhyAndWhatToUse) {
  const absl::Status status =
      CheckOneDeviceEach(std::vector<std::string>{"GPU-a", "GPU-b", "GPU-c", "GPU-b"});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  const std::string text(status.message());
  EXPECT_THAT(text, HasSubstr("ranks 1 and 3 are both on GPU-b"));
  EXPECT_THAT(text, HasSubstr("NCCL takes one rank a GPU"));
  EXPECT_THAT(text, HasSubstr("--device"));
  EXPECT_THAT(text, HasSubstr("or use collective \"cuda_ipc\""));
  EXPECT_THAT(text, HasSubstr("\"ring\""));
}

TEST(OneDeviceEach, AMachineMustShowAsManyFromTheFirstOnAsThereAreWorkers) {
  EXPECT_TRUE(CheckOneDeviceEach(DeviceDemand{2, 0, 2}).ok());
  EXPECT_TRUE(CheckOneDeviceEach(DeviceDemand{2, 6, 8}).ok());
  EXPECT_TRUE(CheckOneDeviceEach(DeviceDemand{1, 0, 1}).ok());
  const absl::Status one = CheckOneDeviceEach(DeviceDemand{2, 0, 1});
  EXPECT_EQ(one.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(one.message()),
              HasSubstr("with 2 workers on this machine, on the GPUs from 0 on: it shows 1"));
  EXPECT_THAT(std::string(one.message()), HasSubstr("use --workers 1, or collective \"cuda_ipc\""));
  EXPECT_THAT(std::string(CheckOneDeviceEach(DeviceDemand{3, 7, 8}).message()),
              HasSubstr("use --workers 1, or"));
  EXPECT_THAT(std::string(CheckOneDeviceEach(DeviceDemand{2, 9, 8}).message()),
              HasSubstr("; use collective \"cuda_ipc\""));
}

}  // namespace
}  // namespace ringmaster
