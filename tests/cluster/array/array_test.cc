// Sweeps by the tasks of an array job: real programs on one folder, killed at work, or with a
// folder each.

#include <signal.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/substitute.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/patience.h"
#include "tests/support/program.h"

namespace ringmaster {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

constexpr absl::Duration kLimit = Patience(240);
constexpr int kTasks = 4;

std::string TextOf(const fs::path& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

class Array : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = NewFolder(testing::UnitTest::GetInstance()->current_test_info()->name());
  }

  // A sweep of runs that are played in simulated time, a few milliseconds each: so many trials of
  // 20 cells, half of them ceilings.
  void File(int trials, int steps = 8) const {
    std::ofstream(folder_ + "/sweep.textproto") << absl::Substitute(
        R"(
      base {
        data {
          name: "synthetic"
          synthetic { train_samples: 500 test_samples: 67 height: 9 width: 7 }
        }
        model { name: "mlp" mlp_hidden: 31 }
        training { kernels: "cpu" batch_per_worker: 8 steps: $1 bucket_bytes: 3000 }
        transport { name: "tcp" network { latency_ms: 0.05 megabits_per_second: 1000 } }
      }
      axes { field: "arm" values: "ring" }
      axes { field: "training.workers" range { from: 2 to: 11 step: 1 } }
      simulate { compute: "1ms" }
      trials: $0)",
        trials, steps);
  }
  std::unique_ptr<Program> Start(const std::vector<std::string>& more, int task = 0) const {
    std::vector<std::string> arguments = {"sweep", folder_ + "/sweep.textproto"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    std::vector<std::string> environment;
    if (task > 0) {
      environment = {absl::StrCat("SLURM_ARRAY_TASK_ID=", task), "SLURM_ARRAY_TASK_MIN=1",
                     absl::StrCat("SLURM_ARRAY_TASK_COUNT=", kTasks)};
    }
    return std::make_unique<Program>(arguments, environment);
  }
  std::vector<std::unique_ptr<Program>> StartTasks(const std::string& out) const {
    std::vector<std::unique_ptr<Program>> tasks;
    for (int task = 1; task <= kTasks; ++task)
      tasks.push_back(Start({"--shard", "auto", "--out", out}, task));
    return tasks;
  }

  static std::vector<json> LinesIn(const std::string& out) {
    std::vector<json> runs;
    for (const auto& entry : fs::directory_iterator(out)) {
      if (entry.path().extension() != ".jsonl") continue;
      std::ifstream lines(entry.path());
      // What is being written is not whole.
      for (std::string line; std::getline(lines, line) && !lines.eof();)
        runs.push_back(json::parse(line));
    }
    return runs;
  }
  static void ExpectEachOnce(const std::string& out, size_t count) {
    std::map<std::pair<std::string, int>, int> runs;
    for (const json& run : LinesIn(out)) {
      EXPECT_EQ(run["status"], "ok");
      ++runs[{run["sweep"]["cell"], run["sweep"]["trial"]}];
    }
    EXPECT_EQ(runs.size(), count);
    for (const auto& [run, times] : runs) EXPECT_EQ(times, 1) << run.first << " " << run.second;
  }

  // How often the run is there.
  static int IsIn(const std::string& out, const std::string& cell, int trial) {
    int times = 0;
    for (const json& run : LinesIn(out))
      times += run["sweep"]["cell"] == cell && run["sweep"]["trial"] == trial ? 1 : 0;
    return times;
  }

  // The claim of a run that the program is at; it is stopped then, before it has kept the run.
  // Empty: it ended before.
  static std::string StopAtWork(const Program& program, const std::string& out) {
    const std::string process = absl::StrCat("\"process\":", program.pid(), ",");
    std::string claim;
    EXPECT_TRUE(WaitUntil(kLimit, [&] {
      if (!fs::exists(out + "/claims") || LinesIn(out).size() < 4) return false;
      program.Signal(SIGSTOP);
      if (!WaitUntil(Patience(10), [&] {
            return StateOf(program.pid()) != 'R' && StateOf(program.pid()) != 'S' &&
                   StateOf(program.pid()) != 'D';
          }))
        return false;
      for (const auto& entry : fs::directory_iterator(out + "/claims")) {
        const std::string text = TextOf(entry.path());
        if (!absl::StrContains(text, process)) continue;
        const json run = json::parse(text);
        if (IsIn(out, run["cell"], run["trial"]) == 0) claim = entry.path().string();
      }
      if (claim.empty()) program.Signal(SIGCONT);
      return !claim.empty() || StateOf(program.pid()) == 'Z';
    }));
    return claim;
  }

  std::string folder_;
};

TEST_F(Array, ATaskThatIsKilledAtWorkLeavesItsRunsToTheOthersAndNoneIsLostOrRepeated) {
  File(10);
  const std::string out = folder_ + "/out";
  const std::vector<std::unique_ptr<Program>> tasks = StartTasks(out);
  const std::string claim = StopAtWork(*tasks[2], out);
  ASSERT_NE(claim, "") << "it was never seen at work: " << tasks[2]->ErrorSoFar();
  EXPECT_LT(LinesIn(out).size(), 200u);
  tasks[2]->Signal(SIGKILL);
  for (int task = 0; task < kTasks; ++task) {
    const Finished finished = tasks[task]->Wait(kLimit);
    if (task == 2) continue;
    EXPECT_EQ(finished.exit_code, 0) << finished.err;
    EXPECT_THAT(finished.err, HasSubstr("samples/s")) << "it did nothing";
  }
  ExpectEachOnce(out, 200);
}

// As where the task was on another machine: its claim is good until its lease is over.
TEST_F(Array, NobodyWaitsForEverForATaskWhoseDeathCannotBeSeen) {
  File(2, 100);
  const std::string out = folder_ + "/out";
  const std::vector<std::unique_ptr<Program>> tasks = StartTasks(out);
  const std::string claim = StopAtWork(*tasks[0], out);
  ASSERT_NE(claim, "");
  const std::string text = TextOf(claim);
  const json run = json::parse(text);
  const std::string boot = run["boot"];
  std::ofstream(claim) << absl::StrReplaceAll(text, {{boot, "another machine's"}});
  tasks[0]->Signal(SIGKILL);
  std::string said;
  for (int task = 1; task < kTasks; ++task) {
    const Finished finished = tasks[task]->Wait(kLimit);
    EXPECT_EQ(finished.exit_code, 0) << finished.err;
    said += finished.err;
  }
  EXPECT_THAT(said, HasSubstr("waiting for the runs that other programs are at"));
  ExpectEachOnce(out, 40);
  EXPECT_FALSE(fs::exists(claim));
  EXPECT_EQ(IsIn(out, run["cell"], run["trial"]), 1);
}

// A program that stands still for longer than its lease loses its claim, and keeps no result. It
// has no index: standing still as it writes that it would hold its lock.
TEST_F(Array, ATaskThatStoodStillKeepsNothingThatAnotherHasMade) {
  File(2, 100);
  const std::string out = folder_ + "/out";
  const auto stopped = Start({"--no-index", "--shard", "1/2", "--out", out});
  const std::string claim = StopAtWork(*stopped, out);
  ASSERT_NE(claim, "");
  const json run = json::parse(TextOf(claim));
  const fs::file_time_type long_ago = fs::last_write_time(claim) - std::chrono::hours(1);
  fs::last_write_time(claim, long_ago);
  const Finished finished = Start({"--no-index", "--shard", "2/2", "--out", out})->Wait(kLimit);
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  stopped->Signal(SIGCONT);
  const Finished late = stopped->Wait(kLimit);
  EXPECT_EQ(late.exit_code, 0) << late.err;
  EXPECT_THAT(late.err, HasSubstr("its own result is not kept"));
  EXPECT_EQ(IsIn(out, run["cell"], run["trial"]), 1);
  ExpectEachOnce(out, 40);
}

TEST_F(Array, WhatEveryTaskHasMadeInAFolderOfItsOwnIsMergedIntoTheTableOfOneSweep) {
  File(2);
  std::vector<std::string> merge = {"merge", folder_ + "/all"};
  for (int task = 1; task <= kTasks; ++task) {
    const std::string out = absl::StrCat(folder_, "/shard-", task);
    std::vector<std::string> flags = {"--strict-shard", "--shard", absl::StrCat(task, "/", kTasks),
                                      "--out", out};
    if (task == 2) flags.push_back("--no-index");
    const Finished finished = Start(flags)->Wait(kLimit);
    EXPECT_EQ(finished.exit_code, 0) << finished.err;
    ExpectEachOnce(out, 10);
    EXPECT_EQ(fs::exists(out + "/results.sqlite"), task != 2);
    merge.push_back(out);
  }
  const std::vector<std::string> plan = [&] {
    std::vector<std::string> words = merge;
    words.push_back("--plan");
    return words;
  }();
  EXPECT_THAT(RunProgram(plan).out, HasSubstr("would make "));
  EXPECT_FALSE(fs::exists(folder_ + "/all"));
  const Finished merged = RunProgram(merge);
  ASSERT_EQ(merged.exit_code, 0) << merged.err;
  EXPECT_THAT(merged.out, HasSubstr("/all: 40 runs, 40 of them new"));
  ExpectEachOnce(folder_ + "/all", 40);
  EXPECT_THAT(RunProgram(merge).out, HasSubstr("/all: 40 runs, 0 of them new"));
  // Nothing is left to do, so the command shows the table.
  const Finished of_all = Start({"--out", folder_ + "/all"})->Wait(kLimit);
  const Finished of_one = Start({"--out", folder_ + "/one"})->Wait(kLimit);
  EXPECT_THAT(of_all.err, Not(HasSubstr("samples/s")));
  const auto table = [](const std::string& text) { return text.substr(0, text.find("records:")); };
  EXPECT_EQ(table(of_all.out), table(of_one.out));
  EXPECT_THAT(of_one.out, HasSubstr("training.workers=11"));
  EXPECT_EQ(RunProgram({"merge", folder_ + "/all", folder_ + "/nowhere"}).exit_code, 2);
}

TEST_F(Array, WithoutAnIndexTasksShareOneFolderAllTheSame) {
  File(3);
  const std::string out = folder_ + "/out";
  const auto one = Start({"--no-index", "--shard", "1/2", "--out", out}),
             two = Start({"--no-index", "--shard", "2/2", "--out", out});
  for (const auto& task : {one.get(), two.get()}) {
    const Finished finished = task->Wait(kLimit);
    EXPECT_EQ(finished.exit_code, 0) << finished.err;
    EXPECT_THAT(finished.err, HasSubstr("samples/s")) << "it did nothing";
    EXPECT_THAT(finished.out, HasSubstr("/results*.jsonl"));
  }
  ExpectEachOnce(out, 60);
  EXPECT_FALSE(fs::exists(out + "/results.sqlite"));
  EXPECT_FALSE(fs::exists(out + "/results.jsonl"));
  EXPECT_EQ(RunProgram({"report", out, "--format", "csv"}).exit_code, 0);
  EXPECT_THAT(Start({"--dry-run", "--out", out})->Wait(kLimit).out,
              HasSubstr("60 runs: 60 done, 0 failed, 0 to do"));
}

TEST_F(Array, MistakesInAShareEndBeforeAnythingRuns) {
  File(1);
  const std::string out = folder_ + "/out";
  for (const char* shard : {"0/4", "5/4", "4", "1/0", "a/b", "1/2/3"}) {
    const Finished finished = Start({"--shard", shard, "--out", out})->Wait(kLimit);
    EXPECT_EQ(finished.exit_code, 2) << shard;
    EXPECT_THAT(finished.err, HasSubstr("expected I/N")) << shard;
  }
  EXPECT_EQ(Start({"--strict-shard", "--out", out})->Wait(kLimit).exit_code, 2);
  EXPECT_EQ(Start({"--shard", "auto", "--out", out}, 5)->Wait(kLimit).exit_code, 2);
  EXPECT_FALSE(fs::exists(out));
}

}  // namespace
}  // namespace ringmaster
