// A step's time on a shaped network with emulated computing is what the formulae say. Nothing overlaps in these runs: one
// bucket, which is finished when backward is.

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/cluster/shaped_run.h"

namespace ringmaster {
namespace {

constexpr double kComputeMs = 20;

struct Setting {
  int workers;
  int megabits_per_second;
};

class StepTime : public testing::TestWithParam<Setting> {};

TEST_P(StepTime, IsComputePlusTheFormulaOfTheScheme) {
  const auto [workers, megabits_per_second] = GetParam();
  const std::map<std::string, double> steps = MedianSteps(
      "solo,ps,ps-sharded,ring",
      {"--workers", absl::StrCat(workers), "--network", absl::StrCat(megabits_per_second, "mbit"), "--emulate",
       absl::StrCat(kComputeMs), "--steps", "9", "--set", "training.warmup_steps=2", "--set",
       "training.emulated_compute.backward_share=0", "--set", "training.bucket_bytes=4000000"});
  ASSERT_EQ(steps.size(), 4u);
  const double n = workers;
  const double whole_ms = kLenetBytes * 8 / (megabits_per_second * 1e3);
  const auto expect = [&](const char* arm, double communication_ms) {
    const double expected = kComputeMs + communication_ms;
    EXPECT_NEAR(steps.at(arm) / expected, 1, 0.1) << arm << ": " << steps.at(arm) << " ms, expected " << expected;
  };
  expect("solo", 0);
  expect("ps", 2 * n * whole_ms);                    // all pushes, then all weights, through the server's card
  expect("ps-sharded", 2 * (n - 1) / n * whole_ms);  // a server beside every worker
  expect("ring", 2 * (n - 1) / n * whole_ms);
}

INSTANTIATE_TEST_SUITE_P(Rates, StepTime, testing::Values(Setting{2, 1000}, Setting{4, 1000}, Setting{2, 100}),
                         [](const auto& info) {
                           return absl::StrCat(info.param.workers, "workers", info.param.megabits_per_second, "mbit");
                         });

TEST(Latency, ComesOnceForEveryMessageThatAnotherWaitsFor) {
  const std::map<std::string, double> steps =
      MedianSteps("ps,ring", {"--workers", "4", "--network", "20ms", "--emulate", "5", "--steps", "9", "--set",
                              "training.warmup_steps=2", "--set", "training.bucket_bytes=4000000"});
  ASSERT_EQ(steps.size(), 2u);
  EXPECT_NEAR(steps.at("ps") / (5 + 2 * 20), 1, 0.1);
  EXPECT_NEAR(steps.at("ring") / (5 + 6 * 20), 1, 0.1);  // 2(N-1) rounds
}

}  // namespace
}  // namespace ringmaster
