#include "experiments/study/results/gate.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

using testing::HasSubstr;

TEST(Gate, TheFirstBlockHasFiveSecondsOrTheStepsOfATurn) {
  const std::vector<float> slow(200, 300), quick(200, 1);
  EXPECT_EQ(FirstBlock({slow}, 5).end, 22);  // 17 steps of 0.3 s
  EXPECT_EQ(FirstBlock({quick}, 5).end, 105);
  EXPECT_EQ(FirstBlock({quick}, 5).begin, 5);
  const std::vector<float> crawling(200, 20000);
  EXPECT_EQ(FirstBlock({crawling}, 5).end, 15) << "at least 10 steps";
  EXPECT_EQ(FirstBlock({quick}, 150).end, 200) << "there are no more";
  EXPECT_EQ(FirstBlock({}, 5).end, 0);
  EXPECT_EQ(FirstBlock({quick}, 200).end, 0);
}

TEST(Gate, ABlockIsTheMedianOfItsStepsOverAllWorkers) {
  const std::vector<float> one = {99, 1, 2, 3}, other = {99, 4, 5, 6};
  EXPECT_EQ(FirstBlock({one, other}, 1).step_ms, 3.5);
  EXPECT_EQ(MedianStepMs({one, other}, 1, 3), 3);
}

TEST(Gate, FailsOnEitherSide) {
  const GateBlock block = {5, 105, 10};
  EXPECT_TRUE(JudgeGate("ring", block, 10.4, 5).passes);
  EXPECT_FALSE(JudgeGate("ring", block, 10.6, 5).passes);
  EXPECT_FALSE(JudgeGate("ring", block, 9.4, 5).passes);
  EXPECT_FALSE(JudgeGate("ring", {}, 10, 5).passes) << "no block at the beginning";
  EXPECT_FALSE(JudgeGate("ring", block, 0, 5).passes) << "none at the end";
  const std::string text = JudgeGate("ring", block, 13, 5).text;
  EXPECT_THAT(text,
              HasSubstr("not quotable: a step of ring took 10 ms at the beginning and 13 ms"));
  EXPECT_THAT(text, HasSubstr("+30.0 %, allowed 5 %"));
}

}  // namespace
}  // namespace ringmaster
