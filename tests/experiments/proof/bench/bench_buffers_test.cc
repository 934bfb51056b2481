#include "experiments/proof/bench/bench_buffers.h"

#include <numeric>
#include <vector>

#include "experiments/proof/bench/bench_times.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

TEST(BenchBuffers, SayWhatTellsOneRunFromAnother) {
  BenchBuffers buffers;
  EXPECT_EQ(buffers.text(), "warm");
  EXPECT_FALSE(buffers.is_cold());
  EXPECT_EQ(buffers.offset(), 0);
  buffers = {"cold", true};
  EXPECT_EQ(buffers.text(), "cold, 4 bytes off a cache line");
  EXPECT_TRUE(buffers.is_cold());
  EXPECT_EQ(buffers.offset(), 1) << "a float is 4 bytes";
}

TEST(BenchBuffers, WhatIsTakenOutOfTheCachesKeepsItsValues) {
  for (const size_t count : {0, 1, 15, 16, 17, 100000}) {
    std::vector<float> values(count + 1);
    std::iota(values.begin(), values.end(), 1.0f);
    const std::vector<float> before = values;
    TakeOutOfCaches(absl::MakeConstSpan(values).subspan(1));
    EXPECT_EQ(values, before);
  }
}

TEST(BenchTimes, PercentilesAreTheNearestRank) {
  std::vector<double> times;
  for (int i = 200; i > 0; --i) times.push_back(i);
  const BenchTimes taken = TimesOf(times);
  EXPECT_DOUBLE_EQ(taken.median, 100.5);
  EXPECT_DOUBLE_EQ(taken.least, 1);
  EXPECT_DOUBLE_EQ(taken.p95, 190);
  EXPECT_DOUBLE_EQ(taken.p99, 198);
  EXPECT_DOUBLE_EQ(TimesOf({3}).p99, 3);
}

}  // namespace
}  // namespace ringmaster
