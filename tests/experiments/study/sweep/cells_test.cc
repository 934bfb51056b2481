#include "experiments/study/sweep/cells.h"

#include <set>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

SweepSpec Parse(const std::string& text) {
  SweepSpec sweep;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &sweep)) << text;
  return sweep;
}

std::vector<std::string> Texts(const SweepCells& cells) {
  std::vector<std::string> texts;
  for (const SweepCell& cell : cells.cells) texts.push_back(SettingsText(cell.settings));
  return texts;
}

std::string ErrorOf(const std::string& text) {
  const absl::StatusOr<SweepCells> cells = ExpandCells(Parse(text));
  EXPECT_EQ(cells.status().code(), absl::StatusCode::kInvalidArgument) << text;
  return std::string(cells.status().message());
}

TEST(Cells, AreTheProductOfTheAxesAndTheLastChangesFastest) {
  const auto cells = ExpandCells(Parse(R"pb(
    axes { field: "training.workers" values: "1" values: "2" }
    axes { field: "optimizer.learning_rate" values: "0.1" values: "0.2" values: "0.4" })pb"));
  ASSERT_TRUE(cells.ok()) << cells.status();
  EXPECT_THAT(Texts(*cells), ElementsAre("training.workers=1 optimizer.learning_rate=0.1",
                                         "training.workers=1 optimizer.learning_rate=0.2",
                                         "training.workers=1 optimizer.learning_rate=0.4",
                                         "training.workers=2 optimizer.learning_rate=0.1",
                                         "training.workers=2 optimizer.learning_rate=0.2",
                                         "training.workers=2 optimizer.learning_rate=0.4"));
  EXPECT_EQ(cells->cells[4].spec.training().workers(), 2);
  EXPECT_FLOAT_EQ(cells->cells[4].spec.optimizer().learning_rate(), 0.2f);
}

TEST(Cells, ZippedFieldsChangeTogether) {
  const auto cells = ExpandCells(Parse(R"pb(
    axes {
      zip { field: "training.workers" values: "1" values: "2" }
      zip { field: "training.batch_per_worker" values: "64" values: "32" }
    })pb"));
  ASSERT_TRUE(cells.ok()) << cells.status();
  EXPECT_THAT(Texts(*cells), ElementsAre("training.workers=1 training.batch_per_worker=64",
                                         "training.workers=2 training.batch_per_worker=32"));
}

TEST(Cells, FieldsThatAreZippedMayRepeatValuesAndNotAllAtOnce) {
  const auto cells =
      ExpandCells(Parse(R"pb(axes {
                               zip { field: "arm" values: "ps" values: "ring" }
                               zip { field: "training.workers" values: "2" values: "2" }
                             })pb"));
  ASSERT_TRUE(cells.ok()) << cells.status();
  EXPECT_THAT(Texts(*cells),
              ElementsAre("arm=ps training.workers=2", "arm=ring training.workers=2"));
  EXPECT_THAT(ErrorOf(R"pb(axes {
                             zip { field: "arm" values: "ps" values: "ps" }
                             zip { field: "training.workers" values: "2" values: "2" }
                           })pb"),
              HasSubstr("axis \"arm+training.workers\": it has a value twice"));
}

TEST(Cells, SettingsOfServersReachOnlyArmsThatHaveSome) {
  const auto cells = ExpandCells(Parse(R"pb(
    axes { field: "strategy.parameter_server.servers" values: "2" }
    axes { field: "arm" values: "ps" values: "ring" })pb"));
  ASSERT_TRUE(cells.ok()) << cells.status();
  EXPECT_EQ(cells->cells[0].spec.strategy().parameter_server().servers(), 2);
  EXPECT_TRUE(cells->cells[1].spec.strategy().has_all_reduce());
  EXPECT_EQ(cells->cells[1].spec.name(), "ring");
}

TEST(Cells, AreExcludedWithTheReasonWhereAllSettingsMatch) {
  const auto cells = ExpandCells(Parse(R"pb(
    axes { field: "arm" values: "ps" values: "ring" }
    axes { field: "training.workers" values: "1" values: "2" }
    exclude {
      when { field: "arm" value: "ring" }
      when { field: "training.workers" value: "1" }
      reason: "a ring of one"
    })pb"));
  ASSERT_TRUE(cells.ok()) << cells.status();
  EXPECT_EQ(cells->cells.size(), 3u);
  ASSERT_EQ(cells->excluded.size(), 1u);
  EXPECT_EQ(SettingsText(cells->excluded[0].settings), "arm=ring training.workers=1");
  EXPECT_EQ(cells->excluded[0].reason, "a ring of one");
}

TEST(Cells, AnAxisWithAConditionIsThereForCellsThatMeetItAlone) {
  const auto cells = ExpandCells(Parse(R"pb(
    base { codec { density: 0.5 } }
    axes { field: "arm" values: "ring" values: "ring-topk" }
    axes {
      field: "codec.density"
      values: "0.1"
      values: "0.01"
      when { field: "arm" value: "ring-topk" }
    }
    axes { field: "training.workers" values: "2" values: "4" })pb"));
  ASSERT_TRUE(cells.ok()) << cells.status();
  EXPECT_THAT(Texts(*cells),
              ElementsAre("arm=ring training.workers=2", "arm=ring training.workers=4",
                          "arm=ring-topk codec.density=0.1 training.workers=2",
                          "arm=ring-topk codec.density=0.1 training.workers=4",
                          "arm=ring-topk codec.density=0.01 training.workers=2",
                          "arm=ring-topk codec.density=0.01 training.workers=4"));
  EXPECT_EQ(cells->cells[4].spec.codec().density(), 0.01);
  EXPECT_FALSE(cells->cells[0].spec.codec().has_density());
}

TEST(Cells, SayWhatIsWrongWithACondition) {
  const std::string arms = R"pb(axes { field: "arm" values: "ring" values: "ssp" })pb";
  // A condition that nothing meets would leave the axis out of every cell.
  EXPECT_THAT(ErrorOf(arms + R"pb(axes {
                                    field: "training.workers"
                                    values: "2"
                                    when { field: "arm" value: "spp" }
                                  })pb"),
              HasSubstr("axis \"training.workers\": when: before it no axis sets arm=spp; did you "
                        "mean \"ssp\"?"));
  EXPECT_THAT(ErrorOf(R"pb(axes {
                             field: "training.workers"
                             values: "2"
                             when { field: "arm" value: "ring" }
                           })pb" +
                      arms),
              HasSubstr("before it no axis sets arm=ring"));
  EXPECT_THAT(ErrorOf(arms + R"pb(axes {
                                    zip {
                                      field: "training.workers"
                                      values: "2"
                                      when { field: "arm" value: "ring" }
                                    }
                                  })pb"),
              HasSubstr("give it to the axis"));
}

TEST(Cells, ASweepWithoutAxesIsOneCell) {
  const auto cells = ExpandCells(Parse("base { training { workers: 2 } }"));
  ASSERT_TRUE(cells.ok()) << cells.status();
  EXPECT_THAT(Texts(*cells), ElementsAre(""));
}

TEST(Cells, SayWhatIsWrongWithAnAxis) {
  EXPECT_THAT(ErrorOf(R"pb(axes { field: "training.worker" values: "1" })pb"),
              HasSubstr("did you mean \"workers\"?"));
  EXPECT_THAT(ErrorOf(R"pb(axes { field: "training.workers" values: "two" })pb"),
              HasSubstr("whole number"));
  EXPECT_THAT(ErrorOf(R"pb(axes { field: "training.workers" })pb"), HasSubstr("has no values"));
  EXPECT_THAT(ErrorOf(R"pb(axes { values: "1" })pb"), HasSubstr("names no field"));
  EXPECT_THAT(ErrorOf(R"pb(axes { field: "arm" values: "rung" })pb"),
              HasSubstr("no such arm; did you mean \"ring\"? known are single"));
  EXPECT_THAT(ErrorOf(R"pb(axes { field: "arm" values: "ring" values: "ring" })pb"),
              HasSubstr("use trials"));
  EXPECT_THAT(ErrorOf(R"pb(axes { field: "training.seed" values: "1" })pb"),
              HasSubstr("list them with seeds"));
  EXPECT_THAT(ErrorOf(R"pb(axes { field: "arm" values: "ps" }
                           axes { field: "arm" values: "ring" })pb"),
              HasSubstr("two axes set it"));
  EXPECT_THAT(
      ErrorOf(R"pb(axes {
                     zip { field: "training.workers" values: "1" values: "2" }
                     zip { field: "training.batch_per_worker" values: "64" }
                   })pb"),
      HasSubstr(
          "as many values each; \"training.batch_per_worker\" has 1, \"training.workers\" 2"));
}

TEST(Cells, SayWhatIsWrongWithAnExclusion) {
  const std::string axis = R"pb(axes { field: "arm" values: "ps" values: "ring" })pb";
  EXPECT_THAT(ErrorOf(axis + R"pb(exclude { when { field: "arm" value: "ps" } })pb"),
              HasSubstr("has no reason"));
  EXPECT_THAT(ErrorOf(axis + R"pb(exclude {
                                    when { field: "arm" value: "pss" }
                                    reason: "r"
                                  })pb"),
              HasSubstr("no axis sets arm=pss"));
  EXPECT_THAT(ErrorOf(axis + R"pb(exclude { reason: "r" })pb"), HasSubstr("names no setting"));
  EXPECT_THAT(ErrorOf(axis + R"pb(exclude {
                                    when { field: "arm" value: "ps" }
                                    reason: "r"
                                  }
                                  exclude {
                                    when { field: "arm" value: "ring" }
                                    reason: "r"
                                  })pb"),
              HasSubstr("nothing to run"));
}

std::vector<std::string> Range(const std::string& text) {
  RangeSpec range;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &range));
  const auto values = RangeValues(range);
  return values.ok() ? *values : std::vector<std::string>{std::string(values.status().message())};
}

TEST(RangeValues, ReachTheirEndInSpiteOfRounding) {
  EXPECT_THAT(Range("from: 1 to: 8 factor: 2"), ElementsAre("1", "2", "4", "8"));
  EXPECT_THAT(Range("from: 0.1 to: 0.3 step: 0.1"), ElementsAre("0.1", "0.2", "0.3"));
  EXPECT_THAT(Range("from: 65536 to: 20000000 factor: 16"),
              ElementsAre("65536", "1048576", "16777216"));
  EXPECT_THAT(Range("from: 0 to: 2 step: 1"), ElementsAre("0", "1", "2"));
  EXPECT_THAT(Range("from: 5 to: 5 step: 1"), ElementsAre("5"));
}

TEST(RangeValues, RefuseWhatNeverEnds) {
  EXPECT_THAT(Range("from: 1 to: 8"), ElementsAre(HasSubstr("exactly one of step and factor")));
  EXPECT_THAT(Range("from: 1 to: 8 step: 1 factor: 2"),
              ElementsAre(HasSubstr("exactly one of step and factor")));
  EXPECT_THAT(Range("from: 1 to: 8 step: 0"), ElementsAre(HasSubstr("above 0")));
  EXPECT_THAT(Range("from: 1 to: 8 factor: 1"), ElementsAre(HasSubstr("above 1")));
  EXPECT_THAT(Range("from: 0 to: 8 factor: 2"), ElementsAre(HasSubstr("first value above 0")));
  EXPECT_THAT(Range("from: 8 to: 1 step: 1"), ElementsAre(HasSubstr("numbers that rise")));
  EXPECT_THAT(Range("from: 0 to: 1e9 step: 1"), ElementsAre(HasSubstr("more than 1000 values")));
}

}  // namespace
}  // namespace ringmaster
