// `ringmaster predict` with real processes.

#include <signal.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cluster/small_run.h"
#include "tests/support/arms.h"
#include "tests/support/patience.h"
#include "tests/support/program.h"

namespace ringmaster {
namespace {

using nlohmann::json;
using testing::HasSubstr;

TEST(Predict, SaysWhatAStepTakesMeasuresItAndKeepsBoth) {
  const std::string folder = NewFolder("predict_keeps");
  const std::vector<std::string> arms = ArmsThat(RunsEverywhere);
  const Finished predict =
      RunProgram(SmallRun("predict", {"--arms", Joined(arms), "--transport", "tcp", "--steps", "30",
                                      "--out", folder, "--json"}));
  ASSERT_EQ(predict.exit_code, 0) << predict.err;
  const json result = json::parse(predict.out);
  ASSERT_EQ(result["arms"].size(), arms.size()) << predict.out;
  std::ifstream lines(absl::StrCat(folder, "/results.jsonl"));
  for (const json& arm : result["arms"]) {
    const double predicted = arm["predicted_step_ms"];
    EXPECT_GT(predicted, 0) << arm;
    EXPECT_EQ(arm["status"], "ok") << arm;
    const double measured = arm["measured_step_ms"];
    EXPECT_GT(measured, 0) << arm;
    EXPECT_NEAR(arm["residual"], (measured - predicted) / measured, 1e-9) << arm;
    const bool exchanges = arm["arm"] != "single" && arm["arm"] != "solo";
    EXPECT_EQ(arm["communication_ms"] > 0, exchanges) << arm;
    // What was measured of the wire stands beside what it was measured for; dp has none.
    EXPECT_EQ(arm["round_trip_samples"] > 0, exchanges && arm["arm"] != "dp") << arm;
    std::string line;
    ASSERT_TRUE(std::getline(lines, line));
    const json kept = json::parse(line);
    EXPECT_EQ(kept["arm"], arm["arm"]);
    EXPECT_EQ(kept["predicted_step_ms"], predicted);
    EXPECT_EQ(kept["prediction"]["step_ms"], predicted);
  }
}

// Workers 0 and 2, and 1 and 3, are far from each other.
std::string FileOfFarLinks(const std::string& folder) {
  const std::string path = absl::StrCat(folder, "/far.textproto");
  std::ofstream file(path);
  file << "data { name: 'synthetic' } model { name: 'mlp' }\n"
       << "training { workers: 4 emulated_compute { milliseconds: 1 } }\n"
       << "transport { name: 'tcp' network { megabits_per_second: 1000 latency_ms: 0.1\n";
  for (const auto& [from, to] : {std::pair(0, 1), {1, 2}, {2, 3}, {3, 0}}) {
    for (const auto& [one, other] : {std::pair(from, to), {to, from}}) {
      file << "links { from: 'worker/" << one << "' to: 'worker/" << other
           << "' latency_ms: 20 }\n";
    }
  }
  file << "} }\n";
  return path;
}

TEST(Predict, FindsTheOrderOfRanksThatANetworkIsFastestWith) {
  const std::string folder = NewFolder("predict_order");
  std::filesystem::create_directories(folder);
  const std::string spec = FileOfFarLinks(folder);
  const auto predict = [&](const std::vector<std::string>& flags) {
    std::vector<std::string> all = {"predict", spec, "--no-measure", "--out", folder + "/results"};
    all.insert(all.end(), flags.begin(), flags.end());
    return RunProgram(all);
  };
  const Finished best = predict({"--arms", "ps,ring", "--order", "best", "--json"});
  ASSERT_EQ(best.exit_code, 0) << best.err;
  const json arms = json::parse(best.out)["arms"];
  EXPECT_EQ(arms[0].count("order"), 0u) << "a central server has none";
  const json order = arms[1]["order"];
  // All links of the ranks' ring are slow, and only two of any other.
  const std::string flag = order["flag"];
  const std::string ranks = flag.substr(flag.find('=') + 1);
  EXPECT_EQ(flag, absl::StrCat("--set strategy.group_order=", ranks));
  EXPECT_NE(ranks, "0,1,2,3");
  EXPECT_EQ(order["is_best"], true);
  const double step = arms[1]["predicted_step_ms"];
  EXPECT_LT(step, 0.9 * order["ranks_step_ms"].get<double>());

  const Finished table = predict({"--arms", "ring", "--order", "best"});
  ASSERT_EQ(table.exit_code, 0) << table.err;
  EXPECT_THAT(table.out, HasSubstr("(the best of all orders; "));
  const Finished by_hand = predict({"--arms", "ring", "--order", ranks, "--json"});
  ASSERT_EQ(by_hand.exit_code, 0) << by_hand.err;
  EXPECT_NEAR(json::parse(by_hand.out)["arms"][0]["predicted_step_ms"].get<double>(), step,
              0.1 * step);
}

TEST(Predict, RefusesOrdersThatThereAreNot) {
  const auto predict = [](const std::string& arm, const std::string& order) {
    return RunProgram(SmallRun("predict", {"--arms", arm, "--no-measure", "--order", order}));
  };
  const Finished none = predict("ps", "best");
  EXPECT_EQ(none.exit_code, 2);
  EXPECT_THAT(none.err, HasSubstr("--order best: in none of the arms"));
  const Finished few = predict("ring", "0");
  EXPECT_EQ(few.exit_code, 2);
  EXPECT_THAT(few.err, HasSubstr("rank 1 is missing"));
}

TEST(Predict, WithoutMeasurementNothingIsTrainedOrKept) {
  const std::string folder = NewFolder("predict_alone");
  const Finished predict =
      RunProgram(SmallRun("predict", {"--arms", "ring", "--transport", "shm", "--no-measure",
                                      "--out", folder + "/results"}));
  ASSERT_EQ(predict.exit_code, 0) << predict.err;
  EXPECT_THAT(predict.out, HasSubstr("predicted"));
  EXPECT_THAT(predict.out, HasSubstr("shm: "));
  EXPECT_THAT(predict.err, HasSubstr("1 predicted"));
  EXPECT_FALSE(std::filesystem::exists(folder + "/results"));
}

// No more than two ranks are started to measure, so what a machine can hold does not matter.
TEST(Predict, ReachesTwoHundredFiftySixWorkers) {
  const Finished predict =
      RunProgram({"predict", "--arms", "ps,halving-doubling", "--workers", "256", "--data",
                  "synthetic", "--model", "mlp", "--set", "model.mlp_hidden=16", "--transport",
                  "tcp", "--network", "1gbit", "--emulate", "5", "--no-measure", "--json"});
  ASSERT_EQ(predict.exit_code, 0) << predict.err;
  const json result = json::parse(predict.out);
  ASSERT_EQ(result["arms"].size(), 2u);
  for (const json& arm : result["arms"]) EXPECT_GE(arm["predicted_step_ms"], 5) << arm;
}

TEST(Predict, PredictsTheStrategyOfAFile) {
  const std::string folder = NewFolder("predict_file");
  std::ofstream(folder + "/run.textproto")
      << "strategy { all_reduce { collective: \"direct\" } } transport { name: \"tcp\" }";
  std::vector<std::string> arguments = SmallRun("predict", {"--no-measure", "--json"});
  arguments.insert(arguments.begin() + 1, folder + "/run.textproto");
  const Finished predict = RunProgram(arguments);
  ASSERT_EQ(predict.exit_code, 0) << predict.err;
  const json result = json::parse(predict.out);
  ASSERT_EQ(result["arms"].size(), 1u);
  EXPECT_EQ(result["arms"][0]["arm"], "all_reduce");
  EXPECT_TRUE(result["arms"][0]["measured_step_ms"].is_null());
}

TEST(Predict, MistakesAreNamedBeforeAnythingIsMeasured) {
  const Finished unknown = RunProgram(SmallRun("predict", {"--arms", "rong"}));
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_THAT(unknown.err, HasSubstr("\"rong\": no such arm"));
  const Finished field = RunProgram(SmallRun("predict", {"--set", "training.wokers=3"}));
  EXPECT_EQ(field.exit_code, 2);
  EXPECT_THAT(field.err, HasSubstr("wokers"));
  const std::string file = NewFolder("predict_mistakes") + "/scored.textproto";
  std::ofstream(file) << "evaluation {}";
  const Finished scored = RunProgram({"predict", file});
  EXPECT_EQ(scored.exit_code, 2);
  EXPECT_THAT(scored.err, HasSubstr("no steps to predict"));
  const Finished missing = RunProgram({"predict", "/nowhere/run.textproto"});
  EXPECT_EQ(missing.exit_code, 2);
  EXPECT_THAT(missing.err, HasSubstr("/nowhere/run.textproto"));
}

TEST(Predict, AnInterruptEndsItWhileItMeasures) {
  Program predict(SmallRun("predict", {"--arms", "ps,ring", "--transport", "tcp", "--steps",
                                       "1000000", "--out", NewFolder("predict_interrupted")}));
  ASSERT_TRUE(predict.WaitForError("2 predicted", Patience(60))) << predict.ErrorSoFar();
  predict.Signal(SIGINT);
  const Finished finished = predict.Wait(Patience(30));
  EXPECT_EQ(finished.exit_code, 130) << finished.err;
  EXPECT_THAT(finished.out, HasSubstr("predicted"));
}

}  // namespace
}  // namespace ringmaster
