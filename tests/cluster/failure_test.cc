// What happens when something breaks: every failure ends the run on all ranks, with one status that
// says who, and leaves neither process nor half a record.

#include <signal.h>

#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/monotonic.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cluster/small_run.h"
#include "tests/support/patience.h"
#include "tests/support/program.h"

namespace ringmaster {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::HasSubstr;

constexpr absl::Duration kStart = Patience(60);

std::vector<std::string> EndlessRun(const std::string& arm, const std::string& out,
                                    const std::string& transport = "tcp",
                                    int64_t bucket_bytes = 3000) {
  return SmallRun("compare", {"--arms", arm, "--steps", "100000000", "--transport", transport,
                              "--evaluate-every", "0", "--out", out, "--set",
                              "limits.wait_seconds=3", "--set", "limits.heartbeat_seconds=0.1",
                              "--set", absl::StrCat("training.bucket_bytes=", bucket_bytes)});
}

std::string LinesOf(const std::string& path) {
  std::ifstream file(path);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

struct Case {
  const char* arm;
  const char* named;
  const char* transport = "tcp";
  int64_t bucket_bytes = 3000;
};
// The model in one bucket, of which even a server's part is too large to be copied: the server that
// waits for one worker has borrowed the other's gradient.
constexpr int64_t kOneBucket = 20000;

class Deaths : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(
    Roles, Deaths,
    testing::Values(Case{"ring", "worker/1"}, Case{"ps", "server/0"},
                    Case{"ps-sharded", "worker/0+server/0"}, Case{"async", "worker/1"},
                    Case{"ps", "worker/1", "shm", kOneBucket},
                    Case{"ps", "server/0", "shm", kOneBucket},
                    Case{"ps-sharded", "worker/0+server/0", "shm", kOneBucket}));

TEST_P(Deaths, AKilledRankEndsTheRunAndIsNamed) {
  const std::string out = NewFolder("out");
  Program program(EndlessRun(GetParam().arm, out, GetParam().transport, GetParam().bucket_bytes));
  ASSERT_TRUE(program.WaitForError(" step ", kStart)) << program.ErrorSoFar();
  const std::vector<pid_t> children = ChildrenOf(program.pid());
  const MonotonicTime begin = MonotonicNow();
  kill(RankNamed(program.pid(), GetParam().named), SIGKILL);
  const Finished finished = program.Wait(Patience(10));
  const absl::Duration took = MonotonicNow() - begin;
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_LT(took, AtThisLoad(absl::Seconds(4)));
  EXPECT_THAT(finished.out,
              AllOf(HasSubstr(GetParam().named),
                    HasSubstr("ended before its work was done, with signal 9 (Killed)"),
                    HasSubstr("step="), HasSubstr("phase=")));
  for (pid_t child : children) EXPECT_NE(kill(child, 0), 0) << child << " is left";
  EXPECT_THAT(LinesOf(out + "/results.jsonl"), HasSubstr(GetParam().named));
}

TEST_P(Deaths, AHangingRankEndsTheRunAndIsNamed) {
  Program program(
      EndlessRun(GetParam().arm, NewFolder("out"), GetParam().transport, GetParam().bucket_bytes));
  ASSERT_TRUE(program.WaitForError(" step ", kStart)) << program.ErrorSoFar();
  const std::vector<pid_t> children = ChildrenOf(program.pid());
  kill(RankNamed(program.pid(), GetParam().named), SIGSTOP);
  const Finished finished = program.Wait(Patience(10));
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.out, AllOf(HasSubstr(GetParam().named), HasSubstr("no heartbeat"),
                                  HasSubstr("the process is suspended")));
  for (pid_t child : children) EXPECT_NE(kill(child, 0), 0) << child << " is left";
}

TEST(Interrupt, StopsEveryProcessWithinTwoSecondsAndKeepsWhatWasMeasured) {
  const std::string out = NewFolder("out");
  Program program(
      SmallRun("compare", {"--arms", "single,ring", "--steps", "20000", "--transport", "tcp",
                           "--evaluate-every", "0", "--no-turns", "--out", out}));
  ASSERT_TRUE(program.WaitForError("2/2 ring", kStart)) << program.ErrorSoFar();
  const Finished finished = ExpectInterruptEndsSoon(&program, 2);
  EXPECT_THAT(finished.out, AllOf(HasSubstr("single"), HasSubstr("interrupted")));
  EXPECT_THAT(LinesOf(out + "/results.jsonl"), HasSubstr("\"arm\":\"single\""));
}

TEST(Death, OfTheLauncherTakesItsProcessesAlong) {
  Program program(EndlessRun("ring", NewFolder("out")));
  ASSERT_TRUE(program.WaitForError(" step ", kStart)) << program.ErrorSoFar();
  const std::vector<pid_t> children = ChildrenOf(program.pid());
  ASSERT_EQ(children.size(), 2u);
  program.Signal(SIGKILL);
  EXPECT_EQ(program.Wait(Patience(10)).exit_code, 128 + SIGKILL);
  // Orphans are adopted and reaped by another process: gone is gone, a zombie of somebody else's
  // does not count.
  const MonotonicTime deadline = MonotonicNow() + Patience(5);
  for (pid_t child : children) {
    const auto lives = [child] {
      std::ifstream stat(absl::StrCat("/proc/", child, "/stat"));
      std::string pid, name, state;
      return static_cast<bool>(stat >> pid >> name >> state) && state != "Z";
    };
    while (lives() && MonotonicNow() < deadline) {
    }
    EXPECT_FALSE(lives()) << child << " is left";
  }
}

struct Mistake {
  const char* name;
  std::vector<std::string> arguments;
  std::vector<std::string> texts;
};

class Mistakes : public testing::TestWithParam<Mistake> {};
INSTANTIATE_TEST_SUITE_P(
    All, Mistakes,
    testing::Values(
        Mistake{
            "UnknownArm", {"compare", "--arms", "ring,star"}, {"\"star\"", "known are", "ring"}},
        Mistake{"NoWorkers",
                {"compare", "--workers", "0", "--data", "synthetic"},
                {"training.workers", "0"}},
        Mistake{"NegativeSteps",
                {"compare", "--steps", "-5", "--data", "synthetic"},
                {"training.steps", "-5"}},
        Mistake{"NotANumber", {"compare", "--workers", "two"}, {"--workers", "two"}},
        Mistake{"UnknownField", {"compare", "--set", "training.wokers=3"}, {"wokers", "workers"}},
        Mistake{"UnknownTransport",
                {"compare", "--transport", "pigeon", "--data", "synthetic"},
                {"transport", "pigeon", "tcp"}},
        Mistake{"UnknownModel",
                {"compare", "--model", "lenin", "--data", "synthetic"},
                {"model", "lenin", "lenet"}},
        Mistake{"NoData",
                {"compare", "--data-dir", "/nowhere"},
                {"/nowhere", "train-images-idx3-ubyte"}},
        Mistake{"UnknownFlag", {"compare", "--arm", "ring"}, {"--arm"}},
        Mistake{"UnknownCommand", {"compaer", "--steps", "1"}, {"\"compaer\"", "no such command"}},
        Mistake{"StepsAndEpochs",
                {"compare", "--data", "synthetic", "--steps", "1", "--epochs", "1"},
                {"--steps", "--epochs"}},
        Mistake{"NegativeDevice",
                {"compare", "--data", "synthetic", "--steps", "1", "--device", "-3"},
                {"--device", "-3"}},
        Mistake{"NoCommand", {}, {"subcommand"}},
        Mistake{"NoSpecFile", {"run", "/nowhere/spec.textproto"}, {"/nowhere/spec.textproto"}},
        Mistake{"UnwritableOut",
                {"compare", "--data", "synthetic", "--steps", "1", "--out", "/proc/nowhere"},
                {"/proc/nowhere"}},
        Mistake{"RankOutside",
                {"node", "--arm", "ring", "--data", "synthetic", "--steps", "1", "--rank", "7",
                 "--world-size", "2", "--coordinator", "127.0.0.1:1"},
                {"--rank 7", "0 to 1"}},
        Mistake{"WorldOfNone",
                {"node", "--arm", "ring", "--data", "synthetic", "--steps", "1", "--rank", "0",
                 "--world-size", "0", "--coordinator", "127.0.0.1:1"},
                {"--world-size 0", "2 processes"}},
        Mistake{"NoCoordinator",
                {"node", "--arm", "ring", "--data", "synthetic", "--steps", "1", "--rank", "0",
                 "--world-size", "2"},
                {"--coordinator", "HOST:PORT"}},
        Mistake{"OpenCoordinatorWithoutToken",
                {"node", "--arm", "ring", "--data", "synthetic", "--steps", "1", "--rank", "0",
                 "--world-size", "2", "--coordinator", "0.0.0.0:1", "--insecure"},
                {"loopback", "RINGMASTER_TOKEN"}},
        Mistake{"CodecWithNothingToSend",
                {"run", "tests/cluster/solo_topk.textproto"},
                {"codec", "topk", "solo"}}),
    [](const testing::TestParamInfo<Mistake>& info) { return info.param.name; });

TEST_P(Mistakes, AreOneClearErrorAndExitCodeTwo) {
  const Finished finished = RunProgram(GetParam().arguments);
  EXPECT_EQ(finished.exit_code, 2) << finished.err;
  for (const std::string& text : GetParam().texts) EXPECT_THAT(finished.err, HasSubstr(text));
  EXPECT_EQ(finished.out, "");
}

}  // namespace
}  // namespace ringmaster
