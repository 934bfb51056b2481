// What blocks of measurements say of a claim.

#include "tests/cluster/blocks.h"

#include "gtest/gtest-spi.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

Claim Between(double low, double expected, double high) {
  return {"a claim", expected, low, high, [](const Measured& m) { return m.at("ratio"); }};
}

TEST(Judge, OneBlockNearTheFormulaIsEnoughAndOneNearABoundIsNot) {
  const Claim claim = Between(0.8, 1, 1.25);
  EXPECT_EQ(Judge(claim, {1.05}), Verdict::kHolds);
  EXPECT_EQ(Judge(claim, {0.95}), Verdict::kHolds);
  EXPECT_EQ(Judge(claim, {1.2}), Verdict::kOpen);
  EXPECT_EQ(Judge(claim, {0.82}), Verdict::kOpen);
  EXPECT_EQ(Judge(claim, {5}), Verdict::kOpen) << "a block may be disturbed";
}

TEST(Judge, ThreeBlocksThatAgreeDecide) {
  const Claim claim = Between(0.8, 1, 1.25);
  EXPECT_EQ(Judge(claim, {1.2, 1.24}), Verdict::kOpen);
  EXPECT_EQ(Judge(claim, {1.2, 1.24, 1.2}), Verdict::kHolds);
  EXPECT_EQ(Judge(claim, {1.3, 1.4, 1.3}), Verdict::kIsBroken);
  EXPECT_EQ(Judge(claim, {1.3, 0.7, 1.3}), Verdict::kIsBroken);
  EXPECT_EQ(Judge(claim, {1.2, 1.3, 1.2}), Verdict::kOpen);
}

TEST(Judge, OtherwiseTheMedianOfSevenDoes) {
  const Claim claim = Between(0.8, 1, 1.25);
  EXPECT_EQ(Judge(claim, {1.2, 1.3, 1.2, 1.3, 1.2, 1.3}), Verdict::kOpen);
  EXPECT_EQ(Judge(claim, {1.2, 1.3, 1.2, 1.3, 1.2, 1.3, 1.2}), Verdict::kHolds);
  EXPECT_EQ(Judge(claim, {1.2, 1.3, 1.2, 1.3, 1.2, 1.3, 1.3}), Verdict::kIsBroken);
  EXPECT_EQ(Judge(claim, {1.3, 1.2, 1.2, 1.2, 1.2}), Verdict::kHolds) << "the median is known";
}

TEST(Judge, ABoundOfOneSideIsFarOnTheOther) {
  const Claim claim = {"more than twice", 3, 2, Claim().high, nullptr};
  EXPECT_EQ(Judge(claim, {100}), Verdict::kHolds) << "far from the one bound that there is";
  EXPECT_EQ(Judge(claim, {2.1}), Verdict::kOpen);
  EXPECT_EQ(Judge(claim, {2.9}), Verdict::kHolds);
  EXPECT_EQ(Judge(claim, {100, 100, 100}), Verdict::kHolds);
  EXPECT_EQ(Judge(claim, {1.9, 1.9, 1.9}), Verdict::kIsBroken);
}

TEST(Blocks, AreMeasuredUntilEveryClaimIsSettled) {
  int blocks = 0;
  ExpectInBlocks({Between(0.8, 1, 1.25)}, [&] { return ++blocks, Measured{{"ratio", 1.0}}; });
  EXPECT_EQ(blocks, 1);
  blocks = 0;
  ExpectInBlocks({Between(0.8, 1, 1.25), Between(0.5, 1, 1.22)}, [&] {
    return ++blocks, Measured{{"ratio", blocks == 2 ? 3.0 : 1.2}};
  });
  EXPECT_EQ(blocks, 5) << "the second block was disturbed: the median of seven is known after five";
}

TEST(Blocks, OfABrokenClaimFailTheTestWithTheirRatios) {
  EXPECT_NONFATAL_FAILURE(ExpectInBlocks({Between(0.8, 1, 1.25)},
                                         [] {
                                           return Measured{{"ratio", 1.5}};
                                         }),
                          "measured 1.5, 1.5, 1.5");
}

}  // namespace
}  // namespace ringmaster
