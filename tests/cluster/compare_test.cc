// The program as a whole: real processes, real sockets, real files.

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/config/resolve.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cluster/small_run.h"
#include "tests/support/arms.h"
#include "tests/support/program.h"
#include "tests/support/transports.h"

namespace ringmaster {
namespace {

using nlohmann::json;
using testing::HasSubstr;

json RunsOf(const Finished& finished) {
  EXPECT_EQ(finished.exit_code, 0) << finished.err << finished.out;
  json object = json::parse(finished.out, nullptr, /*allow_exceptions=*/false);
  EXPECT_TRUE(object.is_object()) << "standard output is not one JSON object: " << finished.out;
  return object.is_object() ? object["runs"] : json::array();
}

const json& ArmOf(const json& runs, const std::string& arm) {
  for (const json& run : runs) {
    if (run["arm"] == arm) return run;
  }
  ADD_FAILURE() << "no arm " << arm;
  static const json* const kNone = new json(json::object());
  return *kNone;
}

class Transports : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(All, Transports, testing::ValuesIn(ProcessTransports()));

TEST_P(Transports, SynchronousArmsEndWithTheSameBitsAtTwoWorkers) {
  const std::vector<std::string> arms = ArmsThat(HasOneTrajectory);
  const json runs = RunsOf(RunProgram(
      SmallRun("compare", {"--arms", Joined(arms), "--steps", "30", "--transport", GetParam(),
                           "--evaluate-every", "100", "--json", "--out", NewFolder("out")})));
  ASSERT_EQ(runs.size(), arms.size());
  std::set<std::string> weights;
  for (const json& run : runs) {
    EXPECT_EQ(run["status"], "ok");
    weights.insert(run["weights_sha256"].get<std::string>());
  }
  EXPECT_EQ(weights.size(), 1u);
}

TEST_P(Transports, SynchronousArmsEndWithTheSameBitsAtThreeWorkersWhenSumsAreExact) {
  const std::vector<std::string> arms = ArmsThat(HasOneTrajectory);
  const json runs = RunsOf(RunProgram(SmallRun(
      "compare",
      {"--arms", Joined(arms), "--steps", "10", "--workers", "3", "--servers", "2", "--transport",
       GetParam(), "--set", "training.deterministic=true", "--json", "--out", NewFolder("out")})));
  ASSERT_EQ(runs.size(), arms.size());
  std::set<std::string> weights;
  for (const json& run : runs) weights.insert(run["weights_sha256"].get<std::string>());
  EXPECT_EQ(weights.size(), 1u);
}

TEST_P(Transports, EveryArmTrainsAndKeepsItsRecord) {
  const std::string out = NewFolder("out");
  const std::vector<std::string> arms = ArmsThat(RunsEverywhere);
  const json runs =
      RunsOf(RunProgram(SmallRun("compare", {"--arms", Joined(arms), "--steps", "60", "--transport",
                                             GetParam(), "--json", "--out", out})));
  ASSERT_EQ(runs.size(), arms.size());
  for (const json& run : runs) {
    EXPECT_EQ(run["status"], "ok") << run["arm"];
    EXPECT_GT(run["samples_per_second"].get<double>(), 0) << run["arm"];
    EXPECT_EQ(run["steps"], 60);
    if (run["arm"] == "solo") {
      EXPECT_TRUE(run["weights_sha256"].is_null());
      EXPECT_TRUE(run["test_accuracy"].is_null());
    } else {
      // Ten classes with prototypes far apart: guessing is right one time in ten.
      EXPECT_GT(run["test_accuracy"].get<double>(), 0.5) << run["arm"];
    }
  }
  std::ifstream lines(out + "/results.jsonl");
  std::string line;
  int count = 0;
  while (std::getline(lines, line)) {
    const json record = json::parse(line, nullptr, false);
    ASSERT_TRUE(record.is_object()) << line;
    for (const char* field : {"arm",
                              "strategy",
                              "codec",
                              "workers",
                              "servers",
                              "transport",
                              "status",
                              "samples_per_second",
                              "step_ms_p50",
                              "step_ms_p95",
                              "phase_ms",
                              "exposed_comm_ms",
                              "hidden_comm_ms",
                              "contention_ms",
                              "exposed_and_contention_ms",
                              "exposed_share",
                              "bytes_up_per_step",
                              "bytes_down_per_step",
                              "staleness_mean",
                              "staleness_max",
                              "final_loss",
                              "test_accuracy",
                              "seconds_to_accuracy",
                              "weights_sha256",
                              "steps",
                              "global_batch"}) {
      EXPECT_TRUE(record.contains(field)) << field;
    }
    ++count;
  }
  EXPECT_EQ(count, static_cast<int>(arms.size()));
}

TEST_P(Transports, PayloadIsWhatTheFormulaeSay) {
  const json runs = RunsOf(RunProgram(
      SmallRun("compare", {"--arms", "dp,ps,ps-sharded,ring,ps-fp16,ps-onebit,ring-topk", "--steps",
                           "7", "--transport", GetParam(), "--json", "--out", NewFolder("out")})));
  // 63 -> 31 -> 10, in buckets of 750 elements: 2304 elements, 9216 bytes.
  const double all = 4.0 * (63 * 31 + 31 + 31 * 10 + 10);
  const auto up = [&](const char* arm) {
    return ArmOf(runs, arm)["bytes_up_per_step"].get<double>();
  };
  const auto down = [&](const char* arm) {
    return ArmOf(runs, arm)["bytes_down_per_step"].get<double>();
  };
  EXPECT_EQ(up("ps"), all);
  EXPECT_EQ(down("ps"), all);
  EXPECT_EQ(up("dp"), all / 2);  // worker 0 lives beside the server
  EXPECT_EQ(up("ring"), all);    // 2S(N-1)/N
  EXPECT_EQ(down("ring"), all);
  EXPECT_EQ(up("ps-sharded"), all / 2);  // the other half lives here
  EXPECT_EQ(down("ps-sharded"), all / 2);
  EXPECT_EQ(up("ps-fp16"), all / 2);
  EXPECT_EQ(down("ps-fp16"), all);
  // Three buckets of 750, one of 54: a bit an element in whole bytes, and a scale.
  EXPECT_EQ(up("ps-onebit"), 3 * (94 + 4) + (7 + 4));
  // The largest 1 % of each bucket, at least one: 8 bytes each, to the one other rank.
  EXPECT_EQ(up("ring-topk"), 8.0 * (3 * 8 + 1));
}

TEST(Compare, TheTableNamesEveryArmAndUnit) {
  const Finished finished =
      RunProgram(SmallRun("compare", {"--arms", "single,solo,ring", "--steps", "5", "--transport",
                                      "tcp", "--out", NewFolder("out")}));
  EXPECT_EQ(finished.exit_code, 0);
  for (const char* text : {"single", "solo", "ring", "speed-up", "efficiency", "exposed", "kB/step",
                           "results.jsonl"}) {
    EXPECT_THAT(finished.out, HasSubstr(text));
  }
}

TEST(Compare, HelpNamesTheDefaultsThatResolveFillsIn) {
  const auto resolved = Resolve(RunSpec(), {"/data", 60000});
  ASSERT_TRUE(resolved.ok());
  const std::string help = RunProgram({"compare", "--help"}).out;
  const auto names = [&help](const std::string& flag, const std::string& value) {
    for (const absl::string_view line : absl::StrSplit(help, '\n')) {
      if (absl::StrContains(line, flag) && absl::StrContains(line, absl::StrCat("[", value, "]")))
        return true;
    }
    return false;
  };
  EXPECT_TRUE(names("workers", absl::StrCat(resolved->training().workers())));
  EXPECT_TRUE(names("--batch", absl::StrCat(resolved->training().batch_per_worker())));
  EXPECT_TRUE(names("step size", absl::StrCat(resolved->optimizer().learning_rate())));
  EXPECT_TRUE(names("--model", resolved->model().name()));
  EXPECT_TRUE(names("--data", resolved->data().name()));
  EXPECT_TRUE(names("--transport", resolved->transport().name()));
  EXPECT_TRUE(
      names("--evaluate-every", absl::StrCat(resolved->training().evaluate_every_samples())));
  EXPECT_TRUE(names("--seed", absl::StrCat(resolved->training().seed())));
  const int64_t global_batch =
      resolved->training().workers() * resolved->training().batch_per_worker();
  const double epochs = static_cast<double>(resolved->training().steps() * global_batch) / 60000;
  EXPECT_TRUE(names("passes over", absl::StrCat(epochs)));
}

TEST(Compare, WhatIsSetByNameIsTakenOrRefusedBeforeAnythingRuns) {
  const std::string out = NewFolder("taken");
  const auto compare = [&](const std::string& arms, const std::string& set) {
    return RunProgram({"compare", "--arms", arms, "--set", set, "--model", "mlp", "--data",
                       "synthetic", "--set", "model.mlp_hidden=8", "--steps", "4", "--out", out});
  };
  const Finished refused = compare("ring", "codec.name=fp16");
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err,
              HasSubstr("--set: codec.name=fp16: arm \"ring\" decides this field itself"));
  EXPECT_THAT(refused.err, HasSubstr("ring-fp16"));
  EXPECT_FALSE(std::ifstream(out + "/results.jsonl").is_open());
  const Finished taken = compare("async-topk", "codec.error_feedback=false");
  EXPECT_EQ(taken.exit_code, 0) << taken.err;
  std::string line;
  std::ifstream lines(out + "/results.jsonl");
  ASSERT_TRUE(std::getline(lines, line));
  EXPECT_THAT(line, HasSubstr("\"error_feedback\":false"));
}

TEST(Compare, BucketsAreThoseOfTheModelAndTheSameForAllArms) {
  const std::vector<std::string> arms = OneArmOfEachScheme(HasOneTrajectory);
  const auto bucket_bytes = [&arms](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"compare",
                                          "--data",
                                          "synthetic",
                                          "--model",
                                          "mlp",
                                          "--set",
                                          "model.mlp_hidden=1024,1024",
                                          "--arms",
                                          Joined(arms),
                                          "--steps",
                                          "2",
                                          "--json",
                                          "--out",
                                          NewFolder("out")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    std::vector<int64_t> sizes;
    for (const json& run : RunsOf(RunProgram(arguments)))
      sizes.push_back(run["spec"]["training"]["bucket_bytes"]);
    return sizes;
  };
  EXPECT_EQ(bucket_bytes({}), std::vector<int64_t>(arms.size(), 2 << 20));
  EXPECT_EQ(bucket_bytes({"--set", "training.bucket_bytes=400000"}),
            std::vector<int64_t>(arms.size(), 400000));
}

TEST(Compare, RunsWithOneSeedRepeatBitForBitAndOthersDoNot) {
  const auto weights = [](const std::string& seed) {
    const json runs = RunsOf(
        RunProgram(SmallRun("compare", {"--arms", "ring", "--steps", "10", "--seed", seed, "--json",
                                        "--transport", "tcp", "--out", NewFolder("out")})));
    return runs.empty() ? "" : runs[0]["weights_sha256"].get<std::string>();
  };
  const std::string first = weights("5");
  EXPECT_EQ(first, weights("5"));
  EXPECT_NE(first, weights("6"));
}

TEST(Compare, PeakMemoryIsThatOfTrainingAndNotOfCountingWhatIsKept) {
  const json runs = RunsOf(RunProgram(
      {"compare", "--arms", "ring", "--data", "synthetic", "--model", "mlp", "--batch", "4",
       "--set", "data.synthetic.train_samples=64", "--set", "data.synthetic.test_samples=16",
       "--set", "data.synthetic.height=64", "--set", "data.synthetic.width=64", "--set",
       "model.mlp_hidden=2048", "--optimizer", "adam", "--steps", "3", "--json", "--out",
       NewFolder("out")}));
  ASSERT_EQ(runs.size(), 1u);
  const double state = runs[0]["state_bytes"];
  EXPECT_GT(state, 60e6);
  // Both are taken after the last step; a resident page of the program counts in full in one only.
  EXPECT_LT(runs[0]["peak_rss_bytes"].get<double>() - runs[0]["worker_pss_bytes"].get<double>(),
            0.7 * state);
}

}  // namespace
}  // namespace ringmaster
