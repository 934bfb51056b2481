// Waits that last longer than limits.wait_seconds: they go on for a rank that computes, and end for
// one that computes too long. The programs run side by side, since they mostly sleep.

#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cluster/slow_rank.h"
#include "tests/support/patience.h"

namespace ringmaster {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr absl::Duration kLimit = Patience(90);

TEST(Waits, GoOnForARankThatComputesForLongerThanWaitSeconds) {
  const std::vector<std::string> arms = {"ring", "ps", "ssp", "solo"};
  std::vector<std::unique_ptr<Program>> programs;
  for (const std::string& arm : arms) {
    programs.push_back(std::make_unique<Program>(
        RunWithPause(arm, 3500, {"--transport", arm == "ps" ? "shm" : "tcp"})));
  }
  for (size_t i = 0; i < arms.size(); ++i) {
    const Finished finished = programs[i]->Wait(kLimit);
    EXPECT_EQ(finished.exit_code, 0) << arms[i] << ": " << finished.out << finished.err;
  }
}

TEST(Waits, EndForARankThatComputesLongerThanComputeSecondsAndNameItAndTheField) {
  const std::vector<std::string> arms = {"ring", "ps"};
  std::vector<std::unique_ptr<Program>> programs;
  for (const std::string& arm : arms) {
    programs.push_back(std::make_unique<Program>(RunWithPause(
        arm, 600'000,
        {"--set", "limits.compute_seconds=1", "--transport", arm == "ring" ? "shm" : "grpc"})));
  }
  for (size_t i = 0; i < arms.size(); ++i) {
    const Finished finished = programs[i]->Wait(kLimit);
    EXPECT_EQ(finished.exit_code, 1) << finished.err;
    EXPECT_THAT(
        finished.out,
        AllOf(HasSubstr("worker/1 (pid "), HasSubstr("at step=1 phase=forward"),
              HasSubstr("while worker/0 waits for it"), HasSubstr("(limits.compute_seconds)"),
              HasSubstr("raise limits.compute_seconds to at least 60")))
        << arms[i];
  }
}

}  // namespace
}  // namespace ringmaster
