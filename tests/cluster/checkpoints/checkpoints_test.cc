// Runs of real processes that are killed, or whose disk is full, and go on from their checkpoints.

#include <signal.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/checkpoint/checkpoint_folder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cluster/small_run.h"
#include "tests/support/patience.h"
#include "tests/support/program.h"

namespace ringmaster {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::SizeIs;

constexpr char kBoth[] = "ring,ps-sharded+topk";

std::vector<std::string> Compare(const std::string& arms, const std::string& out,
                                 const std::vector<std::string>& more = {}) {
  std::vector<std::string> arguments = {
      "--arms", arms,        "--out", out, "--steps", "3000", "--checkpoint-every",
      "200",    "--verbose", "--json"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return SmallRun("compare", arguments);
}

std::string Contents(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// Of a comparison that has printed JSON: the arms' final weights.
std::vector<std::string> Hashes(const Finished& finished) {
  std::vector<std::string> hashes;
  const auto parsed = nlohmann::json::parse(finished.out, nullptr, /*allow_exceptions=*/false);
  if (parsed.is_discarded()) return hashes;
  for (const auto& run : parsed["runs"]) hashes.push_back(run["weights_sha256"].get<std::string>());
  return hashes;
}

TEST(KilledRun, GoesOnToTheBitsOfOneThatWasNot) {
  const std::string whole = NewFolder("whole"), killed = NewFolder("killed");
  const Finished finished = RunProgram(Compare(kBoth, whole));
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  // The run is done and kept.
  EXPECT_FALSE(std::filesystem::exists(whole + "/checkpoints/ring"));
  {
    // Taking turns, all arms are under way.
    Program program(Compare(kBoth, killed));
    for (const char* kept :
         {"worker/1 is kept before step 400", "server/1 is kept before step 400"})
      ASSERT_TRUE(program.WaitForError(kept, Patience(60))) << program.ErrorSoFar();
    program.Signal(SIGKILL);
    ASSERT_EQ(program.Wait(Patience(10)).exit_code, 128 + SIGKILL);
  }
  EXPECT_THAT(RunProgram(Compare(kBoth, killed)).err, HasSubstr("go on from them (--resume)"));
  const Finished resumed = RunProgram(Compare(kBoth, killed, {"--resume"}));
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_THAT(resumed.err, AllOf(HasSubstr("ring goes on from step "),
                                 HasSubstr("ps-sharded+topk goes on from step ")));
  EXPECT_THAT(resumed.out, HasSubstr("ring was stopped and went on from step "));
  ASSERT_THAT(Hashes(finished), SizeIs(2));
  EXPECT_EQ(Hashes(resumed), Hashes(finished));
}

TEST(KilledRun, ItsDamagedCheckpointIsNamedAndTheOneBeforeIsUsed) {
  const std::string out = NewFolder("damaged");
  {
    Program program(Compare("ring", out));
    for (const char* kept :
         {"worker/0 is kept before step 600", "worker/1 is kept before step 600"})
      ASSERT_TRUE(program.WaitForError(kept, Patience(60))) << program.ErrorSoFar();
    program.Signal(SIGKILL);
    program.Wait(Patience(10));
  }
  const std::string folder = out + "/checkpoints/ring";
  // The newest two of which both ranks have left a file.
  std::vector<int64_t> whole;
  for (const int64_t step : CheckpointSteps(folder)) {
    if (std::filesystem::exists(CheckpointFile(folder, step, "worker/0")) &&
        std::filesystem::exists(CheckpointFile(folder, step, "worker/1")))
      whole.push_back(step);
  }
  ASSERT_GE(whole.size(), 2u);
  const std::string torn = CheckpointFile(folder, whole[0], "worker/1");
  std::filesystem::resize_file(torn, std::filesystem::file_size(torn) - 100);
  // Of another run none is taken, nothing runs and all stay.
  const Finished other = RunProgram(Compare("ring", out, {"--resume", "--seed", "2"}));
  EXPECT_EQ(other.exit_code, 2) << other.err;
  EXPECT_THAT(other.err, AllOf(HasSubstr("arm ring can go on from none of the checkpoints"),
                               HasSubstr("it is of another run")));
  const Finished resumed = RunProgram(Compare("ring", out, {"--resume"}));
  EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_THAT(resumed.err, AllOf(HasSubstr(torn), HasSubstr("it was cut off"),
                                 HasSubstr(absl::StrCat("ring goes on from step ", whole[1]))));
  EXPECT_THAT(Contents(out + "/results.jsonl"), HasSubstr(torn));
}

TEST(KilledSweep, GoesOnInsideTheRunThatWasStopped) {
  const auto sweep = [](const std::string& out) {
    const std::string file = out + "/small.textproto";
    std::ofstream(file) << R"(
      base {
        data {
          name: "synthetic"
          synthetic { train_samples: 500 test_samples: 67 height: 9 width: 7 }
        }
        model { name: "mlp" mlp_hidden: 31 }
        training {
          kernels: "cpu" batch_per_worker: 8 steps: 3000 bucket_bytes: 3000
          checkpoint_every_steps: 200
        }
        transport { name: "tcp" }
      }
      axes { field: "arm" values: "ring" }
      trials: 1
    )";
    return std::vector<std::string>{"sweep", file, "--out", out, "--verbose"};
  };
  const std::string whole = NewFolder("whole_sweep");
  ASSERT_EQ(RunProgram(sweep(whole)).exit_code, 0);
  const auto hashes = [](const std::string& out) {
    std::map<std::string, std::string> by_arm;
    std::ifstream lines(out + "/results.jsonl");
    for (std::string line; std::getline(lines, line);) {
      const auto run = nlohmann::json::parse(line);
      by_arm[run["arm"].get<std::string>()] = run["weights_sha256"].dump();
    }
    return by_arm;
  };
  // A scheduler that takes the machine away sends SIGTERM first, and its run is kept as stopped.
  for (const int signal : {SIGKILL, SIGTERM}) {
    SCOPED_TRACE(signal);
    const std::string killed = NewFolder(absl::StrCat("killed_sweep_", signal));
    {
      Program program(sweep(killed));
      // The solo arm, which is added, comes first or last; both keep what they do.
      for (const char* kept :
           {"worker/0 is kept before step 400", "worker/1 is kept before step 400"})
        ASSERT_TRUE(program.WaitForError(kept, Patience(60))) << program.ErrorSoFar();
      program.Signal(signal);
      program.Wait(Patience(10));
    }
    const Finished resumed = RunProgram(sweep(killed));
    ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
    EXPECT_THAT(resumed.err, HasSubstr("the run goes on from its checkpoint before step "));
    EXPECT_THAT(hashes(whole), SizeIs(2));
    EXPECT_EQ(hashes(killed), hashes(whole));
    EXPECT_TRUE(std::filesystem::is_empty(killed + "/checkpoints"));
    EXPECT_EQ(absl::StrContains(Contents(killed + "/results.jsonl"), "\"stopped\":true"),
              signal == SIGTERM);
  }
}

TEST(Checkpoints, ThatCannotBeWrittenAreSaidOnceAndTrainingGoesOn) {
  const std::string out = NewFolder("unwritable");
  const std::string folder = out + "/checkpoints/ring";
  std::filesystem::create_directories(folder);
  // Where the folders of all but the first would be, files are: whoever runs the test, it fails.
  for (const int64_t step : {400, 600, 800})
    std::ofstream(CheckpointStepFolder(folder, step)) << "";
  const Finished finished = RunProgram(Compare("ring", out));
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  for (const char* node : {"worker/0", "worker/1"}) {
    const std::string said = absl::StrCat("no checkpoint of ", node, " at step ");
    EXPECT_THAT(finished.err, HasSubstr(absl::StrCat(said, "400: cannot make ", folder)));
    EXPECT_EQ(finished.err.find(said), finished.err.rfind(said)) << "it is said twice";
  }
  EXPECT_THAT(Contents(out + "/results.jsonl"), HasSubstr("cannot make"));
}

}  // namespace
}  // namespace ringmaster
