// `compare --tune` as a user runs it: real trials, and the comparison that follows from them.

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cluster/small_run.h"
#include "tests/support/program.h"

namespace ringmaster {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

constexpr char kRate[] = "optimizer.learning_rate";

// 320 samples are 20 steps of 16; a rate of 1e30 ends in a loss that is no number.
std::vector<std::string> Tuned(const std::string& grid, const std::string& out,
                               const std::vector<std::string>& more,
                               const std::string& arms = "ps,ring") {
  std::vector<std::string> arguments =
      SmallRun("compare",
               {"--arms", arms, "--steps", "40", "--tune", grid, "--budget", "320", "--out", out});
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

std::vector<json> LinesOf(const std::string& path) {
  std::vector<json> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) lines.push_back(json::parse(line));
  return lines;
}

TEST(Tune, EachArmRunsAtItsBestValueAndTheRecordSaysFromWhat) {
  const std::string out = NewFolder("out");
  const Finished finished = RunProgram(Tuned("learning_rate=0.0001,0.1,1e30", out, {"--json"}));
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  const json runs = json::parse(finished.out)["runs"];
  ASSERT_EQ(runs.size(), 2u);
  for (const json& run : runs) {
    EXPECT_EQ(run["tuned"][kRate]["value"], "0.1");
    EXPECT_EQ(run["tuned"][kRate]["at_edge"], false);
    EXPECT_EQ(run["spec"]["optimizer"]["learning_rate"], 0.1);
    EXPECT_EQ(run["steps"], 40) << "the comparison has its own length";
    const json& trials = run["tuning"];
    ASSERT_EQ(trials.size(), 3u);
    EXPECT_LT(trials[1]["final_loss"], trials[0]["final_loss"]);
    EXPECT_EQ(trials[1]["chosen"], true);
    EXPECT_THAT(trials[2]["status"].get<std::string>(), HasSubstr("OUT_OF_RANGE"));
    EXPECT_FALSE(trials[2].contains("final_loss"));
  }
  // Same samples, seeds and steps: at two workers both have one trajectory, bit for bit.
  for (size_t trial : {0, 1})
    EXPECT_EQ(runs[0]["tuning"][trial]["final_loss"], runs[1]["tuning"][trial]["final_loss"]);
  for (const json& line : LinesOf(out + "/tuning/results.jsonl")) EXPECT_EQ(line["steps"], 20);
  EXPECT_EQ(LinesOf(out + "/results.jsonl").size(), 2u) << "trials are no part of the comparison";
}

TEST(Tune, TheSameCommandTriesNothingTwiceAndShowsTheValuesInTableAndReport) {
  const std::string out = NewFolder("out");
  // Solo learns nothing that counts: it keeps its rate, and stands beside the other all the same.
  const std::vector<std::string> command = Tuned("learning_rate=0.0001,0.2", out, {}, "solo,ring");
  const Finished first = RunProgram(command);
  ASSERT_EQ(first.exit_code, 0) << first.err;
  EXPECT_THAT(first.err, HasSubstr("1/2"));
  EXPECT_THAT(first.err, HasSubstr("lies on the edge of its grid"));
  EXPECT_THAT(first.out, HasSubstr("tuned"));
  EXPECT_THAT(first.out, HasSubstr("learning_rate"));
  EXPECT_THAT(first.out, HasSubstr("0.2 |"));
  const Finished second = RunProgram(command);
  ASSERT_EQ(second.exit_code, 0) << second.err;
  EXPECT_EQ(LinesOf(out + "/tuning/results.jsonl").size(), 2u);
  const Finished report = RunProgram({"report", out, "--format", "md"});
  ASSERT_EQ(report.exit_code, 0) << report.err;
  EXPECT_THAT(report.out, HasSubstr("learning_rate=0.2 (tuned, at its grid's edge)"));
}

TEST(Tune, AnArmThatDivergesEverywhereEndsTheCommand) {
  const Finished finished =
      RunProgram(Tuned("learning_rate=1e30,1e31", NewFolder("out"), {}, "ring"));
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err, HasSubstr("arm=ring: it diverged at every point of the grid"));
}

TEST(Tune, MistakesAreFoundBeforeAnythingRuns) {
  const std::string out = NewFolder("nothing");
  const Finished decided = RunProgram(Tuned("codec.name=fp16,topk", out, {}));
  EXPECT_EQ(decided.exit_code, 2);
  EXPECT_THAT(decided.err, HasSubstr("--tune"));
  const Finished alone = RunProgram(SmallRun("compare", {"--budget", "320", "--out", out}));
  EXPECT_EQ(alone.exit_code, 2);
  EXPECT_THAT(alone.err, HasSubstr("--budget is for --tune"));
  EXPECT_THAT(LinesOf(out + "/tuning/results.jsonl"), testing::IsEmpty());
}

TEST(Tune, APlanShowsTheTrialsAndStartsNone) {
  const std::string out = NewFolder("planned");
  const Finished plan = RunProgram(Tuned("learning_rate=0.1,0.2", out, {"--plan"}));
  EXPECT_EQ(plan.exit_code, 0) << plan.err;
  EXPECT_THAT(plan.out, HasSubstr("optimizer.learning_rate"));
  EXPECT_THAT(LinesOf(out + "/tuning/results.jsonl"), testing::IsEmpty());
}

}  // namespace
}  // namespace ringmaster
