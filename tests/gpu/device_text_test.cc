#include "worker/kernels/cublas/device_text.h"

#include <cstdint>
#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

DeviceFacts Card(int major, int minor) {
  return {2, "NVIDIA Card", major, minor, int64_t{12} << 30, 40};
}

TEST(DeviceText, ACardOfCapability8OrMoreIsATargetAndIsDescribedWithoutAWarning) {
  for (const auto& [major, minor] :
       {std::pair(8, 0), std::pair(8, 9), std::pair(9, 0), std::pair(12, 0)}) {
    const auto target = TargetOf(Card(major, minor));
    ASSERT_TRUE(target.ok()) << target.status();
    EXPECT_EQ(*target, "sm_" + std::to_string(major) + std::to_string(minor) + " NVIDIA Card");
    EXPECT_THAT(DescriptionOf(Card(major, minor)), EndsWith("multiprocessors"));
  }
  EXPECT_EQ(DescriptionOf(Card(9, 0)),
            "device 2: NVIDIA Card, compute capability 9.0, 12.0 GiB, 40 multiprocessors");
}

TEST(DeviceText, ACardBelow8IsRefusedAndSaidToBeBelow) {
  for (const auto& [major, minor] : {std::pair(7, 0), std::pair(7, 5), std::pair(6, 1)}) {
    const absl::Status refused = TargetOf(Card(major, minor)).status();
    EXPECT_EQ(refused.code(), absl::StatusCode::kUnavailable);
    EXPECT_THAT(std::string(refused.message()),
                StartsWith("cuda device 2 (NVIDIA Card) has compute capability "));
    EXPECT_THAT(std::string(refused.message()), HasSubstr("need 8.0"));
    EXPECT_THAT(DescriptionOf(Card(major, minor)),
                EndsWith("(below 8.0: the kernels cannot run on it)"));
  }
}

}  // namespace
}  // namespace ringmaster
