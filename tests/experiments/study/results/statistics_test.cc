#include "experiments/study/results/statistics.h"

#include <vector>

#include "common/base/random.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

TEST(BenchStatistics, TheMedianIsTheMiddleOrTheMeanOfTheTwoThere) {
  EXPECT_EQ(Median({7}), 7);
  EXPECT_EQ(Median({9, 1, 4}), 4);
  EXPECT_EQ(Median({8, 1, 2, 100}), 5);
}

TEST(BenchStatistics, ARatioIsTakenPairByPairNotOfMedians) {
  // The pairs' ratios are 2, 4 and 1; the ratio of the medians would be 40 / 10.
  EXPECT_EQ(PairedRatio({1, 10, 100}, {2, 40, 100}).median, 2);
}

TEST(BenchStatistics, PairsThatAgreeLeaveNoInterval) {
  const MedianInterval ratio = PairedRatio({1, 5, 100}, {2, 10, 200});
  EXPECT_EQ(ratio.median, 2);
  EXPECT_EQ(ratio.low, 2);
  EXPECT_EQ(ratio.high, 2);
}

TEST(BenchStatistics, TheRatioIsAboveOneWhenOursIsFaster) {
  EXPECT_EQ(PairedRatio({2}, {6}).median, 3);
}

TEST(BenchStatistics, TheIntervalHoldsTheMedianAndNarrowsWithMorePairs) {
  Random random(7);
  double last_width = 1;
  for (const int count : {10, 100, 1000}) {
    std::vector<double> ours(count, 1.0);
    std::vector<double> theirs(count);
    for (double& time : theirs) time = 1 + random.Uniform();
    const MedianInterval ratio = PairedRatio(ours, theirs);
    EXPECT_LT(ratio.low, ratio.median) << count;
    EXPECT_GT(ratio.high, ratio.median) << count;
    EXPECT_LT(ratio.high - ratio.low, last_width) << count;
    last_width = ratio.high - ratio.low;
  }
  // The median of 1000 uniform values has a standard error of 1 / (2 sqrt(1000)) = 0.016: 95 % are
  // about 0.062 wide.
  EXPECT_GT(last_width, 0.03);
  EXPECT_LT(last_width, 0.12);
}

TEST(BenchStatistics, TheIntervalCoversTheTrueMedianAboutNineteenTimesInTwenty) {
  Random random(11);
  int covered = 0;
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<double> theirs(50);
    for (double& time : theirs) time = 1 + random.Uniform();
    const MedianInterval ratio = PairedRatio(std::vector<double>(50, 1.0), theirs);
    covered += ratio.low <= 1.5 && 1.5 <= ratio.high ? 1 : 0;
  }
  // 190 of 200 are expected with a deviation of 3; the bootstrap of a median errs by a few more.
  EXPECT_GE(covered, 176);
  EXPECT_LT(covered, 200);
}

TEST(BenchStatistics, TheSameTimesGiveTheSameInterval) {
  const std::vector<double> ours = {1, 2, 3, 4, 5};
  const std::vector<double> theirs = {2, 3, 9, 5, 4};
  EXPECT_EQ(PairedRatio(ours, theirs).low, PairedRatio(ours, theirs).low);
  EXPECT_EQ(PairedRatio(ours, theirs).high, PairedRatio(ours, theirs).high);
}

TEST(BestBlock, IsTheOneThatNobodyDisturbed) {
  const Block best = BestBlock({9, 8, 9, 2, 3, 2, 7, 9, 8, 1}, 3);
  EXPECT_EQ(best.begin, 3u);
  EXPECT_EQ(best.size, 3u);
  EXPECT_EQ(best.median, 2);
}

TEST(BestBlock, OfFewValuesIsAllOfThem) {
  EXPECT_EQ(BestBlock({3, 1}, 5).median, 2);
  EXPECT_EQ(BestBlock({3, 1}, 5).size, 2u);
}

}  // namespace
}  // namespace ringmaster
