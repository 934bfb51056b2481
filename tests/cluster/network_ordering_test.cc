// What the schemes are expected to do to a step's time as workers, latency, stragglers and
// compression change, on shaped networks with emulated computing: ratios of medians, each with the
// bound that tells it from its opposite.

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/cluster/shaped_run.h"

namespace ringmaster {
namespace {

using Steps = std::map<std::string, double>;

// `workers` on a network, computing for `milliseconds`; an mlp of 407 kB, which takes 33 ms at 100
// Mbit/s.
Steps StepsOf(const std::string& arms, int workers, const std::string& network, double milliseconds,
              const std::vector<std::string>& more = {}) {
  std::vector<std::string> arguments = {
      "--workers", absl::StrCat(workers),      "--network", network,
      "--emulate", absl::StrCat(milliseconds), "--steps",   "7",
      "--set",     "training.warmup_steps=1",  "--set",     "model.name=mlp"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return MedianSteps(arms, arguments);
}

TEST(ExpectedOrdering, CentralServersTimeGrowsWithTheWorkersAndTheRingsFlattens) {
  std::map<int, Steps> at;
  for (const int workers : {2, 4, 8, 16}) {
    at[workers] = StepsOf("ps,ring", workers, "100mbit", 5);
    ASSERT_EQ(at[workers].size(), 2u);
  }
  for (const int workers : {4, 8, 16}) {
    EXPECT_GT(at[workers]["ps"] / at[workers / 2]["ps"], 1.6) << workers;
    EXPECT_LT(at[workers]["ps"] / at[workers / 2]["ps"], 2.2) << workers;
  }
  // 2(N-1)/N: 1.07 times from 8 to 16, 1.88 times from 2 to 16.
  EXPECT_LT(at[16]["ring"] / at[8]["ring"], 1.25);
  EXPECT_LT(at[16]["ring"] / at[2]["ring"], 2.2);
  EXPECT_GT(at[16]["ps"] / at[16]["ring"], 6);
}

TEST(ExpectedOrdering, ShardedServersBesideEveryWorkerTakeWhatTheRingTakes) {
  Steps steps = StepsOf("ps-sharded,ring", 8, "100mbit", 5);
  ASSERT_EQ(steps.size(), 2u);
  EXPECT_NEAR(steps["ps-sharded"] / steps["ring"], 1, 0.15);
}

TEST(ExpectedOrdering, RingLosesToTheShardedServerWhereEveryMessageIsLate) {
  Steps steps = StepsOf("ps-sharded,ring", 4, "1gbit,50ms", 5);
  ASSERT_EQ(steps.size(), 2u);
  // 2 and 2(N-1) = 6 messages behind one another.
  EXPECT_GT(steps["ring"] / steps["ps-sharded"], 2);
}

TEST(ExpectedOrdering, StragglerHoldsUpWhoWaitsForItAlone) {
  const std::vector<std::string> straggler = {"--set", "training.slowdowns={ranks: 1 factor: 4}"};
  Steps even = StepsOf("ps,ring,async", 4, "10gbit", 20);
  Steps slowed = StepsOf("ps,ring,async", 4, "10gbit", 20, straggler);
  ASSERT_EQ(even.size() + slowed.size(), 6u);
  EXPECT_GT(slowed["ps"] / even["ps"], 2.5);
  EXPECT_GT(slowed["ring"] / even["ring"], 2.5);
  EXPECT_LT(slowed["async"] / even["async"], 1.3);  // the median worker is not the straggler
}

TEST(ExpectedOrdering, TopkWinsOnASlowNetworkAndLosesOnLoopback) {
  Steps slow = StepsOf("ring,ring-topk", 4, "100mbit", 5);
  ASSERT_EQ(slow.size(), 2u);
  EXPECT_GT(slow["ring"] / slow["ring-topk"], 2);
  // Loopback carries a megabyte faster than its largest elements are found. All is real here.
  Steps loopback = MedianSteps("ring,ring-topk", {"--workers", "2", "--steps", "60", "--set",
                                                  "training.evaluate_every_samples=0"});
  ASSERT_EQ(loopback.size(), 2u);
  EXPECT_GT(loopback["ring-topk"] / loopback["ring"], 1.05);
}

}  // namespace
}  // namespace ringmaster
