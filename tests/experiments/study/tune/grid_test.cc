#include "experiments/study/tune/grid.h"

#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> ValuesOf(const char* text) {
  const absl::StatusOr<GridField> field = ParseGridField(text);
  EXPECT_TRUE(field.ok()) << text << ": " << field.status();
  return field.ok() ? field->values : std::vector<std::string>();
}

TEST(Grid, RangesGrowByFactorOrStepAndStopAtTheirEnd) {
  EXPECT_THAT(ValuesOf("learning_rate=0.02:0.5:x2"),
              ElementsAre("0.02", "0.04", "0.08", "0.16", "0.32"));
  EXPECT_THAT(ValuesOf("learning_rate=0.1:0.5:+0.2"), ElementsAre("0.1", "0.3", "0.5"));
  EXPECT_THAT(ValuesOf("learning_rate = 0.001:1:x10"), ElementsAre("0.001", "0.01", "0.1", "1"));
}

TEST(Grid, ListsKeepTheirValuesAndOnlyAscendingNumbersHaveAnEdge) {
  EXPECT_THAT(ValuesOf("name=sgd, adam"), ElementsAre("sgd", "adam"));
  EXPECT_FALSE(ParseGridField("name=sgd,adam")->is_ordered);
  EXPECT_TRUE(ParseGridField("density=0.01,0.1,1")->is_ordered);
  EXPECT_FALSE(ParseGridField("density=0.01,1,0.1")->is_ordered);
  EXPECT_TRUE(ParseGridField("density=0.01:1:x10")->is_ordered);
}

TEST(Grid, RefusesWhatIsNoGrid) {
  for (const auto& [text, part] : std::vector<std::pair<const char*, const char*>>{
           {"learning_rate", "expected FIELD="},
           {"=0.1,0.2", "expected FIELD="},
           {"learning_rate=", "leaves nothing to choose"},
           {"learning_rate=0.1", "leaves nothing to choose"},
           {"learning_rate=0.1:0.15:x2", "leaves nothing to choose"},
           {"learning_rate=0.1,0.2,0.1", "twice"},
           {"learning_rate=0.1:0.5", "no grid"},
           {"learning_rate=0.1:0.5:2", "no grid"},
           {"learning_rate=0.1:0.5:x2:3", "no grid"},
           {"learning_rate=low:0.5:x2", "\"low\" is no number"},
           {"learning_rate=0.1:0.5:xtwo", "\"two\" is no number"},
           {"learning_rate=0.1:0.5:x1", "above 1"},
           {"learning_rate=0.5:0.1:x2", "range from 0.5 to 0.1"},
           {"learning_rate=0.1:0.5:+0", "above 0"}}) {
    const absl::StatusOr<GridField> field = ParseGridField(text);
    ASSERT_FALSE(field.ok()) << text;
    EXPECT_THAT(std::string(field.status().message()), HasSubstr(part)) << text;
  }
}

TEST(Grid, PointsAreAllCombinationsOfAllFields) {
  const GridField two = *ParseGridField("a=1,2"), three = *ParseGridField("b=1,2,3");
  EXPECT_THAT(GridPoints({two, three}),
              ElementsAre(GridPoint{0, 0}, GridPoint{0, 1}, GridPoint{0, 2}, GridPoint{1, 0},
                          GridPoint{1, 1}, GridPoint{1, 2}));
  EXPECT_THAT(GridPoints({}), ElementsAre(GridPoint{}));
}

}  // namespace
}  // namespace ringmaster
