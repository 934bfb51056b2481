#include "server/clock_table.h"

#include <algorithm>
#include <vector>

#include "common/base/random.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

TEST(ClockTable, AClockTicksOnTheLastPartOfAStepOnly) {
  ClockTable clocks(1, 3);
  EXPECT_FALSE(clocks.PartApplied(0, 2));
  EXPECT_FALSE(clocks.PartApplied(0, 0));
  EXPECT_EQ(clocks.clock(0), 0);
  EXPECT_TRUE(clocks.PartApplied(0, 1));
  EXPECT_EQ(clocks.clock(0), 1);
}

TEST(ClockTable, APartThatRunsAheadDoesNotStandInForOneThatLags) {
  ClockTable clocks(1, 2);
  for (int i = 0; i < 4; ++i) EXPECT_FALSE(clocks.PartApplied(0, 0));
  EXPECT_EQ(clocks.clock(0), 0);
  for (int step = 1; step <= 4; ++step) {
    EXPECT_TRUE(clocks.PartApplied(0, 1));
    EXPECT_EQ(clocks.clock(0), step);
  }
  EXPECT_EQ(clocks.applied(0, 0), 4);
}

TEST(ClockTable, TheSlowestWorkerHoldsTheSlowestClock) {
  ClockTable clocks(3, 1);
  for (int i = 0; i < 5; ++i) clocks.PartApplied(0, 0);
  for (int i = 0; i < 2; ++i) clocks.PartApplied(2, 0);
  EXPECT_EQ(clocks.slowest(), 0);
  clocks.PartApplied(1, 0);
  EXPECT_EQ(clocks.slowest(), 1);
  clocks.PartApplied(1, 0);
  clocks.PartApplied(1, 0);
  EXPECT_EQ(clocks.slowest(), 2);
}

TEST(ClockTable, ClocksAreTheLeastOfTheCountsOfTheirPartsInAnyOrder) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Random random(seed);
    const int32_t workers = 1 + static_cast<int32_t>(random.Below(4));
    const int32_t parts = 1 + static_cast<int32_t>(random.Below(4));
    ClockTable clocks(workers, parts);
    std::vector<std::vector<int64_t>> counts(workers, std::vector<int64_t>(parts, 0));
    for (int i = 0; i < 100; ++i) {
      const int32_t worker = static_cast<int32_t>(random.Below(workers));
      const int32_t part = static_cast<int32_t>(random.Below(parts));
      const int64_t before = *std::min_element(counts[worker].begin(), counts[worker].end());
      ++counts[worker][part];
      const int64_t after = *std::min_element(counts[worker].begin(), counts[worker].end());
      ASSERT_EQ(clocks.PartApplied(worker, part), after > before) << "seed " << seed;
      ASSERT_EQ(clocks.clock(worker), after) << "seed " << seed;
      int64_t slowest = after;
      for (const auto& row : counts)
        slowest = std::min(slowest, *std::min_element(row.begin(), row.end()));
      ASSERT_EQ(clocks.slowest(), slowest) << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace ringmaster
