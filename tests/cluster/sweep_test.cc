// `sweep`: real processes, stopped and resumed, failing, two at once on one store.

#include <signal.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/patience.h"
#include "tests/support/program.h"

namespace ringmaster {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

constexpr absl::Duration kLimit = Patience(120);

class Sweep : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = absl::StrCat(testing::TempDir(), "/sweep_",
                           testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }

  // Writes a sweep of small runs over tcp; `more` says what varies.
  std::string File(const std::string& more, const std::string& name = "small",
                   int steps = 20) const {
    const std::string path = absl::StrCat(folder_, "/", name, ".textproto");
    std::ofstream(path) << absl::Substitute(R"(
      base {
        data {
          name: "synthetic"
          synthetic { train_samples: 500 test_samples: 67 height: 9 width: 7 }
        }
        model { name: "mlp" mlp_hidden: 31 }
        training { kernels: "cpu" batch_per_worker: 8 steps: $0 bucket_bytes: 3000 }
        transport { name: "tcp" }
      }
    )",
                                            steps)
                        << more;
    return path;
  }
  std::vector<std::string> Arguments(const std::string& file,
                                     const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments = {"sweep", file, "--out", folder_};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  // Statuses of the stored runs, by (settings, trial).
  std::multimap<std::pair<std::string, int>, std::string> Stored() const {
    std::multimap<std::pair<std::string, int>, std::string> runs;
    // A file a writer: results.jsonl, results-ID.jsonl.
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
      if (entry.path().extension() != ".jsonl") continue;
      std::ifstream lines(entry.path());
      for (std::string line; std::getline(lines, line);) {
        const json run = json::parse(line);
        runs.emplace(
            std::make_pair(run["sweep"]["settings"].dump(), run["sweep"]["trial"].get<int>()),
            run["status"]);
      }
    }
    return runs;
  }
  void ExpectEachOnce(size_t count) const {
    const auto runs = Stored();
    EXPECT_EQ(runs.size(), count);
    for (const auto& [key, status] : runs) {
      EXPECT_EQ(runs.count(key), 1u) << key.first << " trial " << key.second;
      EXPECT_EQ(status, "ok");
    }
  }

  std::string folder_;
};

TEST_F(Sweep, KeepsWhatWasPredictedWithEveryRun) {
  const std::string file = File(R"(axes { field: "arm" values: ["ring", "ps"] } trials: 1)");
  const Finished sweep = RunProgram(Arguments(file, {"--predict"}));
  ASSERT_EQ(sweep.exit_code, 0) << sweep.err;
  std::ifstream lines(absl::StrCat(folder_, "/results.jsonl"));
  int runs = 0;
  for (std::string line; std::getline(lines, line); ++runs) {
    EXPECT_GT(json::parse(line)["predicted_step_ms"].get<double>(), 0) << line;
  }
  EXPECT_EQ(runs, 3);  // with solo
}

TEST_F(Sweep, RunsEveryCellAndASecondTimeNothing) {
  const std::string file = File(R"(axes { field: "arm" values: ["ring", "ps"] } trials: 2)");
  const Finished first = RunProgram(Arguments(file));
  ASSERT_EQ(first.exit_code, 0) << first.err;
  ExpectEachOnce(3 * 2);  // and solo
  EXPECT_THAT(first.out, HasSubstr("arm=solo"));
  EXPECT_THAT(first.out, HasSubstr("100.0 [100.0, 100.0]"));  // solo against itself
  const Finished second = RunProgram(Arguments(file));
  EXPECT_EQ(second.exit_code, 0) << second.err;
  ExpectEachOnce(3 * 2);
  EXPECT_THAT(second.err, Not(HasSubstr("samples/s")));
}

TEST_F(Sweep, FindsEachCellsValuesFirstAndChoosesThemOnce) {
  const std::string file = File(R"pb(
    axes { field: "arm" values: "ring" values: "local-sgd" }
    axes {
      field: "strategy.local_sgd.local_steps"
      values: "2"
      values: "5"
      when { field: "arm" value: "local-sgd" }
    }
    seeds: [ 2, 3 ]
    tuning {
      fields { field: "optimizer.learning_rate" values: "0.0001" values: "0.2" }
      budget_samples: 320
    })pb");
  const auto tried = [&] {
    std::ifstream lines(folder_ + "/tuning/results.jsonl");
    std::vector<json> runs;
    for (std::string line; std::getline(lines, line);) runs.push_back(json::parse(line));
    return runs;
  };
  const Finished before = RunProgram(Arguments(file, {"--dry-run"}));
  ASSERT_EQ(before.exit_code, 0) << before.err;
  EXPECT_THAT(before.out, HasSubstr("6 runs of 320 samples to find each cell's values, 6 to do"));
  EXPECT_TRUE(tried().empty());
  const Finished first = RunProgram(Arguments(file));
  ASSERT_EQ(first.exit_code, 0) << first.err;
  EXPECT_EQ(tried().size(), 6u);
  for (const json& run : tried()) EXPECT_EQ(run["steps"], 20);
  ExpectEachOnce(4 * 2);  // with solo, once for all
  EXPECT_THAT(first.out, HasSubstr("optimizer.learning_rate=0.2|"));
  std::ifstream lines(folder_ + "/results.jsonl");
  for (std::string line; std::getline(lines, line);) {
    const json run = json::parse(line);
    if (run["arm"] == "solo") continue;
    EXPECT_EQ(run["tuned"]["optimizer.learning_rate"]["value"], "0.2") << line;
  }
  const Finished second = RunProgram(Arguments(file));
  EXPECT_EQ(second.exit_code, 0) << second.err;
  EXPECT_EQ(tried().size(), 6u);
  ExpectEachOnce(4 * 2);
  const Finished after = RunProgram(Arguments(file, {"--dry-run"}));
  EXPECT_THAT(after.out, HasSubstr("8 runs: 8 done, 0 failed, 0 to do")) << after.err;
}

TEST_F(Sweep, GoesOnAfterBeingKilledAndRepeatsNoFinishedRun) {
  const std::string file =
      File(R"(axes { field: "arm" values: ["ring", "ps"] } trials: 2)", "long", 4000);
  {
    Program program(Arguments(file));
    // The second run's line: the first is kept by then.
    ASSERT_TRUE(program.WaitForError("1/6", kLimit) && program.WaitForError("samples/s", kLimit))
        << program.ErrorSoFar();
    program.Signal(SIGKILL);
    EXPECT_EQ(program.Wait(kLimit).exit_code, 128 + SIGKILL);
  }
  const size_t before = Stored().size();
  EXPECT_GE(before, 1u);
  EXPECT_LT(before, 6u);
  const Finished resumed = RunProgram(Arguments(file));
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  ExpectEachOnce(6);
}

TEST_F(Sweep, CtrlCKeepsWhatIsDoneAndSaysThatItGoesOn) {
  const std::string file = File(R"(axes { field: "training.steps" values: ["20", "1000000"] }
                                   axes { field: "arm" values: "solo" } trials: 1)");
  Program program(Arguments(file));
  ASSERT_TRUE(program.WaitForError("/1000000", kLimit)) << program.ErrorSoFar();
  program.Signal(SIGINT);
  const Finished finished = program.Wait(kLimit);
  EXPECT_EQ(finished.exit_code, 130) << finished.err;
  EXPECT_THAT(finished.err, HasSubstr("the same command goes on from here"));
  std::map<std::string, int> statuses;
  for (const auto& [key, status] : Stored()) ++statuses[status];
  EXPECT_EQ(statuses.count("CANCELLED: interrupted"), 1u);
  EXPECT_LE(statuses.size(), 2u);
}

TEST_F(Sweep, ARunThatSomebodyElseStoppedIsKeptAsStoppedAndMadeAgain) {
  const std::string file =
      File(R"(axes { field: "arm" values: "solo" } trials: 1)", "one", 1000000);
  {
    Program program(Arguments(file));
    ASSERT_TRUE(program.WaitForError("/1000000", kLimit)) << program.ErrorSoFar();
    kill(RankNamed(program.pid(), "worker/1"), SIGKILL);  // as a system without memory does
    const Finished finished = program.Wait(kLimit);
    EXPECT_EQ(finished.exit_code, 1);
    EXPECT_THAT(finished.err, HasSubstr("stopped: "));
    EXPECT_THAT(finished.err, HasSubstr("1 runs were stopped; the same command makes them again"));
    EXPECT_THAT(finished.out, HasSubstr("0 trials failed and 1 were stopped"));
  }
  std::ifstream lines(folder_ + "/results.jsonl");
  std::string line;
  std::getline(lines, line);
  EXPECT_EQ(json::parse(line)["stopped"], true);
  for (const char* retry : {"none", "failed"}) {
    EXPECT_EQ(RunProgram(Arguments(file, {"--retry", retry})).exit_code, 1);
    EXPECT_EQ(Stored().size(), 1u);
  }
  // Slurm ends a job by SIGTERM, and by SIGKILL some time later.
  Program again(Arguments(file));
  ASSERT_TRUE(again.WaitForError("/1000000", kLimit)) << again.ErrorSoFar();
  again.Signal(SIGTERM);
  EXPECT_EQ(again.Wait(kLimit).exit_code, 128 + SIGTERM);
  EXPECT_EQ(Stored().size(), 2u);
  EXPECT_THAT(RunProgram(Arguments(file, {"--dry-run"})).out,
              HasSubstr("1 runs: 0 done, 0 failed, 1 stopped, 1 to do"));
}

TEST_F(Sweep, KeepsAFailedRunGoesOnAndRetriesItWhenAsked) {
  // A learning rate that ends in a loss that is no number.
  const std::string file = File(R"(axes { field: "optimizer.learning_rate" values: ["1e30", "0.1"] }
                                   axes { field: "arm" values: "solo" } trials: 1)");
  const Finished first = RunProgram(Arguments(file));
  EXPECT_EQ(first.exit_code, 1);
  EXPECT_THAT(first.err, HasSubstr("--retry-failed tries them again"));
  EXPECT_EQ(Stored().size(), 2u);
  const Finished second = RunProgram(Arguments(file));
  EXPECT_EQ(second.exit_code, 1);
  EXPECT_EQ(Stored().size(), 2u);
  const Finished third = RunProgram(Arguments(file, {"--retry-failed"}));
  EXPECT_EQ(third.exit_code, 1);
  EXPECT_EQ(Stored().size(), 3u);
}

TEST_F(Sweep, TwoAtOnceOnOneStoreKeepAllTheirRuns) {
  const std::string left = File(R"(axes { field: "arm" values: "ring" } trials: 2)", "left");
  const std::string right = File(R"(axes { field: "arm" values: "ps" } trials: 2)", "right");
  Program one(Arguments(left)), two(Arguments(right));
  const Finished first = one.Wait(kLimit), second = two.Wait(kLimit);
  EXPECT_EQ(first.exit_code, 0) << first.err;
  EXPECT_EQ(second.exit_code, 0) << second.err;
  EXPECT_EQ(Stored().size(), 8u);
}

TEST_F(Sweep, TwoAtOnceOfOneSweepShareItsRuns) {
  const std::string file =
      File(R"(axes { field: "arm" values: ["ring", "ps"] } trials: 3)", "shared", 200);
  Program one(Arguments(file)), two(Arguments(file));
  const Finished first = one.Wait(kLimit), second = two.Wait(kLimit);
  EXPECT_EQ(first.exit_code, 0) << first.err;
  EXPECT_EQ(second.exit_code, 0) << second.err;
  ExpectEachOnce(9);  // with solo
  // Both have worked, and both show the whole table.
  for (const Finished* finished : {&first, &second}) {
    EXPECT_THAT(finished->err, HasSubstr("samples/s"));
    EXPECT_THAT(finished->out, HasSubstr("arm=ps"));
  }
}

TEST_F(Sweep, ARunWhoseHolderWasKilledIsTakenOverAtOnce) {
  const std::string file =
      File(R"(axes { field: "arm" values: "solo" } trials: 1)", "one", 1000000);
  Program killed(Arguments(file));
  ASSERT_TRUE(killed.WaitForError("/1000000", kLimit)) << killed.ErrorSoFar();
  Program waiting(Arguments(file));
  ASSERT_TRUE(waiting.WaitForError("waiting for the runs that other programs are at", kLimit))
      << waiting.ErrorSoFar();
  EXPECT_THAT(waiting.ErrorSoFar(), HasSubstr(absl::StrCat("process ", killed.pid())));
  EXPECT_THAT(waiting.ErrorSoFar(), Not(HasSubstr("/1000000")));
  killed.Signal(SIGKILL);
  EXPECT_EQ(killed.Wait(kLimit).exit_code, 128 + SIGKILL);
  EXPECT_TRUE(waiting.WaitForError("/1000000", kLimit)) << waiting.ErrorSoFar();
  waiting.Signal(SIGINT);
  EXPECT_EQ(waiting.Wait(kLimit).exit_code, 130);
  EXPECT_EQ(Stored().size(), 1u) << "that the second was at, and no more";
}

TEST_F(Sweep, ADryRunShowsCellsAndTimeAndKeepsNothing) {
  const std::string file = File(R"(axes { field: "arm" values: ["ring", "ps"] } trials: 2
                                   exclude {
                                     when { field: "arm" value: "ps" }
                                     reason: "not today"
                                   })");
  const Finished dry = RunProgram(Arguments(file, {"--dry-run"}));
  ASSERT_EQ(dry.exit_code, 0) << dry.err;
  EXPECT_THAT(dry.out, HasSubstr("4 runs: 0 done, 0 failed, 4 to do"));
  EXPECT_THAT(dry.out, HasSubstr("not run: arm=ps: not today"));
  EXPECT_THAT(dry.out, HasSubstr("at least"));
  // It says that it trains before it does, and leaves no trace of a store.
  EXPECT_LT(dry.err.find("to estimate how long they take, a few steps"), dry.err.find("trying "));
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/results.sqlite"));
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/results.jsonl"));
}

TEST_F(Sweep, MistakesEndBeforeAnythingRuns) {
  const auto error_of = [&](const std::string& more) {
    const Finished finished = RunProgram(Arguments(File(more)));
    EXPECT_EQ(finished.exit_code, 2) << more;
    EXPECT_EQ(Stored().size(), 0u);
    return finished.err;
  };
  EXPECT_THAT(error_of(R"(axes { field: "training.worker" values: "1" })"),
              HasSubstr("did you mean"));
  EXPECT_THAT(error_of(R"(axes { field: "training.workers" values: "0" })"),
              HasSubstr("cell training.workers=0 cannot be run"));
  EXPECT_THAT(error_of("axis { }"), HasSubstr("expected a SweepSpec textproto"));
  EXPECT_EQ(RunProgram({"sweep", folder_ + "/none.textproto", "--out", folder_}).exit_code, 2);
}

}  // namespace
}  // namespace ringmaster
