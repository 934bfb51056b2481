// A step's time on a shaped network with emulated computing is what the formulae say. Nothing
// overlaps in these runs: one bucket, which is finished when backward is.

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
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

// Runs `arms` as MedianSteps does and holds each step's time, in milliseconds, against `expected`,
// within a tenth. Other programs on this machine only ever add time: an arm that took too long runs
// again, twice at most, and its shortest counts.
void ExpectSteps(const std::map<std::string, double>& expected,
                 const std::vector<std::string>& more) {
  const auto is_too_long = [](double took, double wanted) { return took > 1.1 * wanted; };
  std::map<std::string, double> shortest;
  std::vector<std::string> arms;
  for (const auto& [arm, milliseconds] : expected) arms.push_back(arm);
  for (int run = 0; run < 3 && !arms.empty(); ++run) {
    const std::map<std::string, double> steps = MedianSteps(absl::StrJoin(arms, ","), more);
    ASSERT_EQ(steps.size(), arms.size());
    arms.clear();
    for (const auto& [arm, milliseconds] : steps) {
      double& least = shortest.emplace(arm, milliseconds).first->second;
      least = std::min(least, milliseconds);
      if (is_too_long(least, expected.at(arm))) arms.push_back(arm);
    }
  }
  for (const auto& [arm, milliseconds] : expected) {
    EXPECT_NEAR(shortest.at(arm) / milliseconds, 1, 0.1)
        << arm << ": " << shortest.at(arm) << " ms, expected " << milliseconds;
  }
}

TEST_P(StepTime, IsComputePlusTheFormulaOfTheScheme) {
  const auto [workers, megabits_per_second] = GetParam();
  const double n = workers;
  const double whole_ms = kLenetBytes * 8 / (megabits_per_second * 1e3);
  ExpectSteps(
      {{"solo", kComputeMs},
       {"ps",
        kComputeMs + 2 * n * whole_ms},  // all pushes, then all weights, through the server's card
       {"ps-sharded", kComputeMs + 2 * (n - 1) / n * whole_ms},  // a server beside every worker
       {"ring", kComputeMs + 2 * (n - 1) / n * whole_ms}},
      {"--workers", absl::StrCat(workers), "--network", absl::StrCat(megabits_per_second, "mbit"),
       "--emulate", absl::StrCat(kComputeMs), "--steps", "9", "--set", "training.warmup_steps=2",
       "--set", "training.emulated_compute.backward_share=0", "--set",
       "training.bucket_bytes=4000000"});
}

INSTANTIATE_TEST_SUITE_P(Rates, StepTime,
                         testing::Values(Setting{2, 1000}, Setting{4, 1000}, Setting{2, 100}),
                         [](const auto& info) {
                           return absl::StrCat(info.param.workers, "workers",
                                               info.param.megabits_per_second, "mbit");
                         });

TEST(Latency, ComesOnceForEveryMessageThatAnotherWaitsFor) {
  ExpectSteps({{"ps", 5 + 2 * 20}, {"ring", 5 + 6 * 20}},  // 2(N-1) rounds
              {"--workers", "4", "--network", "20ms", "--emulate", "5", "--steps", "9", "--set",
               "training.warmup_steps=2", "--set", "training.bucket_bytes=4000000"});
}

}  // namespace
}  // namespace ringmaster
