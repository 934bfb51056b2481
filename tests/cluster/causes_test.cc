// What a rank died of, and which limit was in the way, stands in the run's status.

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cluster/small_run.h"
#include "tests/support/patience.h"
#include "tests/support/program.h"
#include "tests/support/transports.h"

namespace ringmaster {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr absl::Duration kStart = Patience(60);
constexpr absl::Duration kEnd = Patience(10);

std::vector<std::string> Compare(const std::string& out, const std::vector<std::string>& more) {
  std::vector<std::string> arguments = {"--arms", "ring", "--evaluate-every", "0", "--out", out};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return SmallRun("compare", arguments);
}

std::vector<std::string> Endless() {
  return Compare(NewFolder("out"), {"--steps", "100000", "--emulate", "20"});
}

TEST(Causes, TheSignalThatEndedARankIsNamed) {
  Program program(Endless());
  ASSERT_TRUE(program.WaitForError(" step ", kStart)) << program.ErrorSoFar();
  kill(RankNamed(program.pid(), "worker/1"), SIGSEGV);
  const Finished finished = program.Wait(kEnd);
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.out,
              AllOf(HasSubstr("worker/1 (pid"), HasSubstr("with signal 11 (Segmentation fault)")));
}

TEST(Causes, ARankThatIsToldToEndSaysSo) {
  Program program(Endless());
  ASSERT_TRUE(program.WaitForError(" step ", kStart)) << program.ErrorSoFar();
  kill(RankNamed(program.pid(), "worker/1"), SIGTERM);
  const Finished finished = program.Wait(kEnd);
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.out, HasSubstr("worker/1: ended by SIGTERM"));
}

TEST(MoreCauses, ARankOfABenchmarkIsNamedWithItsSignal) {
  Program program({"bench", "allreduce", "--sizes", "4KiB,64MiB", "--iterations", "1000",
                   "--transport", "tcp"});
  ASSERT_TRUE(WaitUntil(kStart, [&] {
    return program.OutputSoFar().find(" 4096 ") != std::string::npos;
  })) << program.OutputSoFar();
  kill(RankNamed(program.pid(), "worker/1"), SIGTERM);
  const Finished finished = program.Wait(kEnd);
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err,
              AllOf(HasSubstr("worker/1"), HasSubstr("with exit code 143 (ended by SIGTERM)")));
}

// A control group with little memory, as root of cgroup v1 can make one; ok() says whether that was
// possible.
class SmallGroup {
 public:
  explicit SmallGroup(int64_t bytes) {
    std::ifstream file("/proc/self/cgroup");
    for (std::string line; std::getline(file, line);) {
      const size_t at = line.find(":memory:");
      if (at == std::string::npos) continue;
      path_ = absl::StrCat("/sys/fs/cgroup/memory", line.substr(at + 8), "/test-", getpid());
    }
    ok_ = !path_.empty() && mkdir(path_.c_str(), 0755) == 0 && Limit(bytes);
  }
  ~SmallGroup() {
    // The last process of it may be a moment away from its end.
    WaitUntil(kEnd,
              [this] { return path_.empty() || rmdir(path_.c_str()) == 0 || errno == ENOENT; });
  }
  // False: more than that is taken already.
  bool Limit(int64_t bytes) const {
    return static_cast<bool>(std::ofstream(path_ + "/memory.limit_in_bytes")
                             << bytes << std::flush);
  }
  int processes() const {
    std::ifstream file(path_ + "/cgroup.procs");
    int count = 0;
    for (std::string line; std::getline(file, line);) ++count;
    return count;
  }
  bool ok() const { return ok_; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  bool ok_ = false;
};

TEST(Causes, ARankThatTheSystemKilledForWantOfMemoryIsNamedWithTheLimit) {
  const SmallGroup group(int64_t{4} << 30);
  if (!group.ok()) GTEST_SKIP() << "needs the right to make a control group of memory (cgroup v1)";
  // 100 MB of weights a rank, twice.
  Program program(Compare(NewFolder("out"), {"--steps", "3", "--set",
                                             "model.mlp_hidden=2000,2000,2000,2000,2000,2000"}),
                  {}, [&group] {
                    std::ofstream(group.path() + "/cgroup.procs") << getpid() << std::flush;
                    std::ofstream("/proc/self/oom_score_adj")
                        << -500 << std::flush;  // not the launcher
                  });
  // The launcher would refuse a run that is not to fit.
  WaitUntil(kStart, [&group] { return group.processes() > 1; });
  EXPECT_TRUE(group.Limit(160 << 20));
  const Finished finished = program.Wait(kStart);
  EXPECT_EQ(finished.exit_code, 1) << finished.err;
  EXPECT_THAT(finished.out + finished.err,
              AllOf(HasSubstr("signal 9 (Killed)"), HasSubstr("out of memory: oom_kill rose by"),
                    HasSubstr("160 MiB"), HasSubstr("memory.limit_in_bytes")));
}

std::function<void()> Limit(int resource, rlim_t value) {
  return [resource, value] {
    const rlimit limit{value, value};
    setrlimit(static_cast<__rlimit_resource>(resource), &limit);
  };
}

TEST(Limits, AFileThatMayNotGrowIsAnErrorThatNamesTheFileAndTheLimit) {
  const std::string out = NewFolder("out");
  const Finished finished =
      Program(Compare(out, {"--steps", "3"}), {}, Limit(RLIMIT_FSIZE, 32 << 10)).Wait(kStart);
  EXPECT_THAT(finished.exit_code, testing::AnyOf(1, 2));
  EXPECT_THAT(finished.err, AllOf(HasSubstr("results"), HasSubstr("ulimit -f, RLIMIT_FSIZE"),
                                  HasSubstr("32768")));
  EXPECT_THAT(finished.err + finished.out, Not(HasSubstr("signal")));
}

TEST(Limits, WeightsThatARankMayNotWriteAreTheRunsStatus) {
  const std::string out = NewFolder("out");
  const Finished finished = Program(Compare(out, {"--steps", "3", "--set", "model.mlp_hidden=4000",
                                                  "--save-weights", out + "/w.safetensors"}),
                                    {}, Limit(RLIMIT_FSIZE, 1 << 20))
                                .Wait(kStart);
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.out, AllOf(HasSubstr("safetensors"), HasSubstr("ulimit -f, RLIMIT_FSIZE")));
  for (const auto& entry : std::filesystem::directory_iterator(out)) {
    EXPECT_THAT(entry.path().filename().string(), Not(HasSubstr("safetensors")));
  }
}

TEST(Limits, StandardOutputThatMayNotGrowIsSaid) {
  const Finished finished =
      Program({"explain", "ring", "--workers", "16"}, {}, Limit(RLIMIT_FSIZE, 1000)).Wait(kStart);
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.err, AllOf(HasSubstr("standard output"), HasSubstr("ulimit -f")));
}

TEST(Limits, TooFewOpenFilesAreSaidBeforeAnythingStarts) {
  const std::string coordinator = "127.0.0.1:1";
  const std::vector<std::vector<std::string>> commands = {
      Compare(NewFolder("out"), {"--steps", "3", "--workers", "8"}),
      SmallRun("node", {"--arm", "ring", "--workers", "8", "--steps", "3", "--rank", "1",
                        "--world-size", "8", "--coordinator", coordinator}),
      {"bench", "allreduce", "--workers", "8", "--sizes", "4KiB"}};
  for (const std::vector<std::string>& command : commands) {
    const Finished finished = Program(command, {}, Limit(RLIMIT_NOFILE, 40)).Wait(kStart);
    EXPECT_THAT(finished.exit_code, testing::AnyOf(1, 2)) << command[0];
    EXPECT_THAT(finished.err, AllOf(HasSubstr("8 processes"), HasSubstr("48"),
                                    HasSubstr("is 40 (ulimit -n, RLIMIT_NOFILE)")));
    EXPECT_THAT(finished.err, Not(HasSubstr("step")));
  }
}

TEST(MoreLimits, AsManyOpenFilesAsAreAskedForSuffice) {
  // 4 processes and 24: above what each transport was seen to use.
  for (const std::string& transport : ProcessTransports()) {
    const auto command =
        Compare(NewFolder("out"), {"--steps", "3", "--workers", "4", "--transport", transport});
    const Finished finished = Program(command, {}, Limit(RLIMIT_NOFILE, 36)).Wait(kStart);
    EXPECT_EQ(finished.exit_code, 0) << transport << finished.err << finished.out;
  }
}

}  // namespace
}  // namespace ringmaster
