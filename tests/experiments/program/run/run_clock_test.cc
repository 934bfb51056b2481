#include "experiments/program/run/attempts/run_clock.h"

#include <chrono>
#include <fstream>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

TEST(RunClock, BeginsOnceForAllProcessesWhicheverSaysItFirst) {
  const absl::StatusOr<std::unique_ptr<RunClock>> launcher = RunClock::Create();
  ASSERT_TRUE(launcher.ok()) << launcher.status();
  const Clock::time_point begin = Clock::now();
  {
    const auto process = RunClock::Open((*launcher)->path());
    ASSERT_TRUE(process.ok()) << process.status();
    EXPECT_FALSE((*process)->begin().has_value());
    (*process)->Begin(begin);
    (*process)->Begin(begin + std::chrono::seconds(5));
  }
  const auto next = RunClock::Open((*launcher)->path());
  ASSERT_TRUE(next.ok()) << next.status();
  (*next)->Begin(begin + std::chrono::seconds(9));
  EXPECT_EQ((*next)->begin(), begin);
  EXPECT_EQ((*launcher)->begin(), begin);
}

TEST(RunClock, AnotherFileIsRefused) {
  EXPECT_FALSE(RunClock::Open("/proc/self/fd/no such").ok());
  const std::string path = testing::TempDir() + "/clock";
  std::ofstream(path) << std::string(16, 'x');
  EXPECT_FALSE(RunClock::Open(path).ok());
  std::ofstream(path) << "short";
  EXPECT_FALSE(RunClock::Open(path).ok());
}

}  // namespace
}  // namespace ringmaster
