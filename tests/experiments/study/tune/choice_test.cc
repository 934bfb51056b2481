#include "experiments/study/tune/choice.h"

#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

using testing::ElementsAre;

std::vector<GridField> Rates() { return {*ParseGridField("rate=0.1:0.4:x2")}; }

TEST(Choice, IsTheSmallestFinalLoss) {
  const auto choice = ChooseBest(Rates(), {1.5, 0.5, 0.75});
  ASSERT_TRUE(choice.has_value());
  EXPECT_EQ(choice->point, 1u);
  EXPECT_THAT(choice->at_edge, ElementsAre(false));
}

TEST(Choice, OfEqualLossesIsTheFirst) {
  EXPECT_EQ(ChooseBest(Rates(), {2.0, 1.0, 1.0})->point, 1u);
}

TEST(Choice, IsNeverAPointThatDiverged) {
  EXPECT_EQ(ChooseBest(Rates(), {std::nullopt, 7.0, std::nullopt})->point, 1u);
  EXPECT_EQ(ChooseBest(Rates(), {NAN, -INFINITY, 7.0})->point, 2u);
  EXPECT_FALSE(ChooseBest(Rates(), {std::nullopt, NAN, INFINITY}).has_value());
}

TEST(Choice, SaysOfWhichFieldTheBestValueLiesAtTheEdge) {
  EXPECT_THAT(ChooseBest(Rates(), {0.5, 1.0, 1.0})->at_edge, ElementsAre(true));
  EXPECT_THAT(ChooseBest(Rates(), {1.0, 1.0, 0.5})->at_edge, ElementsAre(true));
  const std::vector<GridField> fields = {*ParseGridField("rate=1,2,3"),
                                         *ParseGridField("name=sgd,adam")};
  EXPECT_THAT(ChooseBest(fields, {9.0, 9.0, 1.0, 9.0, 9.0, 9.0})->at_edge,
              ElementsAre(false, false))
      << "names have no edge";
  EXPECT_THAT(ChooseBest(fields, {9.0, 9.0, 9.0, 9.0, 9.0, 1.0})->at_edge,
              ElementsAre(true, false));
}

TEST(Choice, TellsDivergenceFromOtherFailures) {
  EXPECT_TRUE(IsDivergence("OUT_OF_RANGE: step=3: the training loss is nan"));
  EXPECT_TRUE(IsDivergence(
      "INVALID_ARGUMENT: bucket=0: codec \"fp16\": value 3 of 9 is not finite: the gradient, or "
      "its sum over the workers, left the range of halves (65504)"));
  EXPECT_FALSE(IsDivergence("UNAVAILABLE: worker/1 ended with signal 9 (Killed)"));
  EXPECT_FALSE(IsDivergence(""));
  EXPECT_FALSE(IsDivergence("ok"));
}

}  // namespace
}  // namespace ringmaster
