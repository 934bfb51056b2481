// Programs of the user's as ranks: real processes of a C program under the real launcher.

#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/arms.h"
#include "tests/support/program.h"

namespace ringmaster {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

std::string Mlp() {
  return absl::StrCat(std::getenv("TEST_SRCDIR"), "/", std::getenv("TEST_WORKSPACE"),
                      "/tests/experiments/program/session/mlp");
}

// `command` with so small a run of the program, which makes `mistake`.
std::vector<std::string> ProgramRun(const std::string& command, const std::string& mistake,
                                    const std::vector<std::string>& more) {
  std::vector<std::string> arguments = {command,
                                        "--program",
                                        absl::StrCat("'", Mlp(), "' ", mistake),
                                        "--batch",
                                        "8",
                                        "--steps",
                                        "60",
                                        "--learning-rate",
                                        "0.3",
                                        "--evaluate-every",
                                        "200",
                                        "--set",
                                        "training.bucket_bytes=300"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

// Its sums are those of all batches in one order, and its workers are processes.
bool IsSynchronous(const ArmUnderTest& arm) {
  return HasOneTrajectory(arm) && RunsEverywhere(arm) &&
         (arm.traits.workers == 1 || arm.spec.strategy().launch() != THREADS);
}

json RunsOf(const Finished& finished) {
  EXPECT_EQ(finished.exit_code, 0) << finished.err << finished.out;
  json object = json::parse(finished.out, nullptr, /*allow_exceptions=*/false);
  EXPECT_TRUE(object.is_object()) << "standard output is not one JSON object: " << finished.out;
  return object.is_object() ? object["runs"] : json::array();
}

std::string TextOf(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(Programs, SynchronousArmsEndWithTheSameBitsAtTwoWorkers) {
  const std::string out = NewFolder("out");
  const std::vector<std::string> arms = ArmsThat(IsSynchronous);
  const json runs = RunsOf(
      RunProgram(ProgramRun("compare", "", {"--arms", Joined(arms), "--json", "--out", out})));
  ASSERT_EQ(runs.size(), arms.size());
  std::set<std::string> weights;
  for (const json& run : runs) {
    EXPECT_EQ(run["status"], "ok") << run["arm"];
    EXPECT_GT(run["test_accuracy"].get<double>(), 0.5) << run["arm"];
    weights.insert(run["weights_sha256"].get<std::string>());
  }
  EXPECT_EQ(weights.size(), 1u);
  // What ranks say does not drown the table, and is kept.
  EXPECT_THAT(TextOf(out + "/programs/ring.worker-1.log"),
              AllOf(HasSubstr("worker 1 of 2"), HasSubstr("final weights")));
}

TEST(Programs, EverySchemeTrainsAndIsScored) {
  std::vector<std::string> arms = OneArmOfEachScheme(RunsEverywhere);
  const std::vector<std::string> claiming = ArmsThat([](const ArmUnderTest& arm) {
    return RunsEverywhere(arm) && arm.traits.work == Work::kClaimed;
  });
  arms.insert(arms.end(), claiming.begin(), claiming.end());
  arms.push_back("ring+int8");
  const json runs = RunsOf(RunProgram(
      ProgramRun("compare", "", {"--arms", Joined(arms), "--json", "--out", NewFolder("out")})));
  ASSERT_EQ(runs.size(), arms.size());
  for (const json& run : runs) {
    EXPECT_EQ(run["status"], "ok") << run["arm"];
    EXPECT_GT(run["samples_per_second"].get<double>(), 0) << run["arm"];
    if (run["test_accuracy"].is_number()) {
      EXPECT_GT(run["test_accuracy"].get<double>(), 0.3) << run["arm"];
    }
  }
}

// Each mistake ends the run by name.
struct MistakeCase {
  const char* mistake;
  std::vector<const char*> said;
};
class Mistakes : public testing::TestWithParam<MistakeCase> {};
INSTANTIATE_TEST_SUITE_P(
    All, Mistakes,
    testing::Values(
        MistakeCase{"forget", {"worker/1 step=3", "without the gradient of \"fc1.weight\""}},
        MistakeCase{"twice", {"worker/1 step=3", "\"fc2.weight\" is ready for the second time"}},
        MistakeCase{"nan", {"the training loss is nan", "nan in bucket=0 (fc2.bias[0])"}},
        MistakeCase{"fail", {"worker/1 step=3", "ValueError: no such thing"}},
        MistakeCase{"next", {"worker/1 step=3", "ringmaster_next while a step is not answered"}},
        MistakeCase{"leave", {"worker/1", "closed its session before the run was over"}},
        MistakeCase{"die", {"worker/1", "ended before the run was over"}},
        MistakeCase{"kill", {"worker/1", "signal 9"}},
        MistakeCase{"shape", {"before it joined", "exit code 1"}}),
    [](const testing::TestParamInfo<MistakeCase>& info) {
      return std::string(info.param.mistake);
    });

TEST_P(Mistakes, EndsTheRunByName) {
  const Finished finished = RunProgram(ProgramRun("compare", absl::StrCat(GetParam().mistake, " 1"),
                                                  {"--arms", "ring", "--out", NewFolder("out")}));
  EXPECT_EQ(finished.exit_code, 1) << finished.err << finished.out;
  for (const char* said : GetParam().said)
    EXPECT_THAT(finished.err + finished.out, HasSubstr(said));
}

TEST(Programs, OneThatHangsIsNamedWithTheLimit) {
  const Finished finished =
      RunProgram(ProgramRun("compare", "hang 1",
                            {"--arms", "ring", "--set", "limits.compute_seconds=1", "--set",
                             "limits.wait_seconds=1", "--out", NewFolder("out")}));
  EXPECT_EQ(finished.exit_code, 1) << finished.err << finished.out;
  EXPECT_THAT(finished.err + finished.out,
              AllOf(HasSubstr("worker/1"), HasSubstr("limits.compute_seconds")));
}

TEST(Programs, WhatChangesItsShapesSaysWhichTensorInItsOutput) {
  const std::string out = NewFolder("out");
  const Finished finished =
      RunProgram(ProgramRun("compare", "shape", {"--arms", "ring", "--out", out}));
  EXPECT_THAT(finished.err, AllOf(HasSubstr("\"fc1.weight\" of this program has the shape [6,17]"),
                                  HasSubstr("the spec has [17,6]")));
}

TEST(Programs, OneThatOpensNoSessionIsRefusedBeforeAnythingRuns) {
  const Finished finished =
      RunProgram(ProgramRun("compare", "mute", {"--arms", "ring", "--out", NewFolder("out")}));
  EXPECT_EQ(finished.exit_code, 2);
  EXPECT_THAT(finished.err, HasSubstr("exit code 0 without opening a session"));
  const Finished missing = RunProgram(
      {"compare", "--program", "no-such-program x", "--arms", "ring", "--out", NewFolder("out")});
  EXPECT_EQ(missing.exit_code, 2);
  EXPECT_THAT(missing.err, HasSubstr("cannot start no-such-program"));
}

TEST(Programs, WhatAProgramCannotBeIsRefusedWithWhatToDo) {
  const Finished dp =
      RunProgram(ProgramRun("compare", "", {"--arms", "dp", "--out", NewFolder("out")}));
  EXPECT_EQ(dp.exit_code, 2);
  EXPECT_THAT(dp.err, AllOf(HasSubstr("strategy.launch"), HasSubstr("leave dp out")));
  const Finished emulated = RunProgram(
      ProgramRun("compare", "", {"--arms", "ring", "--emulate", "3", "--out", NewFolder("out")}));
  EXPECT_EQ(emulated.exit_code, 2);
  EXPECT_THAT(emulated.err, HasSubstr("training.emulated_compute"));
}

TEST(Programs, AccumulatedBatchesAreAddedUpAlike) {
  const json runs =
      RunsOf(RunProgram(ProgramRun("compare", "",
                                   {"--arms", "ps,ring", "--set", "training.accumulate=3", "--json",
                                    "--out", NewFolder("out")})));
  ASSERT_EQ(runs.size(), 2u);
  std::set<std::string> weights;
  for (const json& run : runs) {
    EXPECT_EQ(run["status"], "ok");
    weights.insert(run["weights_sha256"].get<std::string>());
  }
  EXPECT_EQ(weights.size(), 1u);
}

TEST(Programs, ALostOneStartsAgainAndEndsWithTheSameBits) {
  const std::vector<std::string> arms = {"--arms", "ring", "--checkpoint-every", "20", "--json"};
  std::vector<std::string> undisturbed = arms, lost = arms;
  undisturbed.insert(undisturbed.end(), {"--out", NewFolder("undisturbed")});
  lost.insert(lost.end(), {"--on-failure", "RESTART", "--fault", "worker:1@step=45 kill", "--out",
                           NewFolder("lost")});
  const Finished finished = RunProgram(ProgramRun("compare", "", lost));
  EXPECT_THAT(finished.err, HasSubstr("starting again"));
  EXPECT_EQ(RunsOf(finished)[0]["weights_sha256"],
            RunsOf(RunProgram(ProgramRun("compare", "", undisturbed)))[0]["weights_sha256"]);
}

TEST(Programs, OneWithoutTestSamplesIsNotScored) {
  const json runs = RunsOf(RunProgram(
      ProgramRun("compare", "unscored", {"--arms", "ring", "--json", "--out", NewFolder("out")})));
  ASSERT_EQ(runs.size(), 1u);
  EXPECT_EQ(runs[0]["status"], "ok");
  EXPECT_TRUE(runs[0]["test_accuracy"].is_null());
}

}  // namespace
}  // namespace ringmaster
