#include "experiments/study/results/table.h"

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

RunSummary Arm(const std::string& name, double samples_per_second) {
  RunSummary summary;
  summary.set_arm(name);
  summary.set_status("ok");
  summary.set_transport("grpc");
  summary.set_samples_per_second(samples_per_second);
  summary.set_speed_up_over_single(samples_per_second / 3000);
  summary.set_efficiency(samples_per_second / 5600);
  summary.set_step_ms_p50(64e3 / samples_per_second);
  summary.set_step_ms_p95(70e3 / samples_per_second);
  summary.set_processes_per_core(1.5);
  (*summary.mutable_phase_ms())["forward"] = 3.25;
  (*summary.mutable_phase_ms())["backward"] = 6.5;
  (*summary.mutable_phase_ms())["gate"] = 0.5;
  summary.set_exposed_comm_ms(1.25);
  summary.set_hidden_comm_ms(2.5);
  summary.set_contention_ms(0.75);
  summary.set_bytes_up_per_step(1724320);
  summary.set_bytes_down_per_step(1724320);
  summary.set_staleness_mean(0.5);
  summary.set_staleness_max(3);
  summary.set_final_loss(0.0312);
  summary.set_test_accuracy(0.9876);
  (*summary.mutable_seconds_to_accuracy())["0.97"] = 7.25;
  return summary;
}

std::vector<RunSummary> Arms() {
  RunSummary solo = Arm("solo", 5600);
  solo.clear_final_loss();
  solo.clear_test_accuracy();
  solo.clear_contention_ms();
  RunSummary dp = Arm("dp", 5100);
  dp.set_transport("inproc");
  RunSummary failed;
  failed.set_arm("ring");
  failed.set_transport("grpc");
  failed.set_status("UNAVAILABLE: worker/1 died in step 12");
  return {Arm("single", 3000), solo, dp, Arm("ps-sharded", 4321), failed};
}

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

int Width(const std::string& line) {
  return static_cast<int>(
      std::count_if(line.begin(), line.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

// All lines of the blocks that begin with `arm`.
std::vector<std::string> LinesOf(const std::string& table, const std::string& arm) {
  std::vector<std::string> found;
  for (const std::string& line : Lines(table)) {
    if (line.rfind(arm + " ", 0) == 0) found.push_back(line);
  }
  return found;
}

TEST(Table, AnArmWhoseRanksDifferIsMarkedAndSaysHowFar) {
  std::vector<RunSummary> arms = Arms();
  EXPECT_THAT(RenderTable(arms, 120, {}), Not(HasSubstr("~")));
  arms[3].set_ranks_differ(true);
  arms[3].set_fastest_rank_step_ms(21);
  arms[3].set_slowest_rank_step_ms(82.25);
  const std::string table = RenderTable(arms, 120, {});
  EXPECT_THAT(table, HasSubstr("ps-sharded ~ "));
  EXPECT_THAT(table, HasSubstr("~ ps-sharded: ranks differ, median steps of 21.00 to 82.25 ms"));
}

TEST(Table, SaysWhatTheRateAndTheCeilingOfClaimedWorkAre) {
  std::vector<RunSummary> arms = Arms();
  EXPECT_THAT(RenderTable(arms, 120, {}), Not(HasSubstr("claim")));
  arms[3].set_tail_seconds(0.125);
  EXPECT_THAT(
      RenderTable(arms, 120, {}),
      HasSubstr("ps-sharded: workers claim their work: samples/s is the sum of their own "
                "rates, without the tail from the first to the last without work (0.12 s)"));
  arms[1].set_strategy("solo");
  arms[1].set_own_samples_per_second(9100);
  EXPECT_THAT(RenderTable(arms, 120, {}),
              HasSubstr("efficiency: theirs is of the sum of solo's own rates (9100 samples/s), "
                        "all others' of N times solo's slowest worker (5600)"));
}

TEST(Table, NoLineOfTheTableIsWiderThanTheTerminal) {
  for (int width : {80, 100, 120, 160, 260}) {
    for (const std::string& line : Lines(RenderTable(Arms(), width)))
      EXPECT_LE(Width(line), width) << line;
  }
}

TEST(Table, AWideTerminalHasOneBlockAndANarrowOneSeveral) {
  EXPECT_EQ(LinesOf(RenderTable(Arms(), 260), "ps-sharded").size(), 1u);
  EXPECT_GT(LinesOf(RenderTable(Arms(), 80), "ps-sharded").size(), 2u);
}

TEST(Table, FiguresStandInTheirColumns) {
  const std::string table = RenderTable(Arms(), 260);
  std::vector<std::string> figures;
  std::istringstream row(LinesOf(table, "ps-sharded").at(0));
  for (std::string cell; row >> cell;) figures.push_back(cell);
  EXPECT_THAT(figures, ::testing::ElementsAre(
                           "ps-sharded", "4321", "1.44", "77.2", "14.81", "16.20", "1.5",  // speed
                           "9.75", "0.50", "1.25", "–", "–", "0.00", "0.75", "2.00",       // time
                           "33.3", "2.50", "0.00",                                         // comm.
                           "1724.3", "1724.3", "0.50", "3",                                // bytes
                           "0.0312", "98.76", "7.2", "–"));
}

TEST(Table, ARowWithoutGapsEndsWithItsRule) {
  for (int width : {80, 240}) {
    const std::vector<std::string> lines = Lines(RenderTable({Arm("ps-sharded", 4321)}, width));
    ASSERT_EQ(lines[4].rfind("ps-sharded", 0), 0u);
    EXPECT_EQ(Width(lines[4]), Width(lines[3]));
    EXPECT_EQ(Width(lines[0]), Width(lines[3]));
  }
}

TEST(Table, AnotherWireIsMarkedAndExplained) {
  const std::string table = RenderTable(Arms(), 120);
  EXPECT_EQ(LinesOf(table, "dp *").size(), LinesOf(table, "single").size());
  EXPECT_THAT(table, HasSubstr("* dp: other wire (inproc, not grpc)"));
  EXPECT_THAT(RenderTable({Arm("ps", 1)}, 120), Not(HasSubstr("other wire")));
}

TEST(Table, AFailedArmHasNoFiguresButItsStatus) {
  const std::string table = RenderTable(Arms(), 240);
  EXPECT_THAT(
      table,
      HasSubstr("✗ ring failed, so it has no figures: UNAVAILABLE: worker/1 died in step 12"));
  for (char digit = '0'; digit <= '9'; ++digit)
    EXPECT_THAT(LinesOf(table, "ring").at(0), Not(HasSubstr(std::string(1, digit))));
}

TEST(Table, ContentionBelowZeroIsShownAndCalledNoise) {
  RunSummary arm = Arm("ps", 1000);
  EXPECT_THAT(RenderTable({arm}, 120), Not(HasSubstr("noise")));
  arm.set_contention_ms(-0.4);
  EXPECT_THAT(RenderTable({arm}, 120), HasSubstr("-0.40"));
  EXPECT_THAT(RenderTable({arm}, 120), HasSubstr("contention below 0 is noise"));
}

TEST(Table, TunedValuesStandFirstAndThoseAtTheirGridsEdgeAreMarked) {
  std::vector<RunSummary> arms = Arms();
  EXPECT_THAT(RenderTable(arms, 120), Not(HasSubstr("tuned")));
  TunedValue* inner = arms[0].add_tuned();
  inner->set_field("optimizer.learning_rate");
  inner->set_value("0.08");
  EXPECT_THAT(RenderTable(arms, 120), Not(HasSubstr("edge of its grid")));
  TunedValue* edge = arms[3].add_tuned();
  edge->set_field("optimizer.learning_rate");
  edge->set_value("0.32");
  edge->set_at_edge(true);
  const std::vector<std::string> lines = Lines(RenderTable(arms, 400));
  EXPECT_THAT(lines[0], HasSubstr(" tuned "));
  EXPECT_THAT(lines[1], HasSubstr("learning_rate"));
  const auto of = [&](const std::string& arm) {
    return *std::find_if(lines.begin() + 4, lines.end(), [&](const std::string& line) {
      return line.compare(0, arm.size(), arm) == 0;
    });
  };
  EXPECT_THAT(of("single"), HasSubstr(" 0.08 "));
  EXPECT_THAT(of("ps-sharded"), HasSubstr(" 0.32 | "));
  EXPECT_THAT(RenderTable(arms, 400), HasSubstr("| at the edge of its grid"));
  EXPECT_THAT(RenderTable(arms, 400), HasSubstr("tuned: each arm's best value of the same grid"));
}

}  // namespace
}  // namespace ringmaster
