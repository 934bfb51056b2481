// Signals to ranks and to those who lead them: whoever is told to end is gone in time, the others
// hear who it was, and what was ignored stays ignored.

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/monotonic.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cluster/small_run.h"
#include "tests/support/patience.h"
#include "tests/support/program.h"

namespace ringmaster {
namespace {

using testing::HasSubstr;

constexpr absl::Duration kStart = Patience(60);
// A rank has 0.7 s and a launcher 2 s. Here they have twice as long or more, and on a busy machine
// more by its load.
constexpr absl::Duration kRankEnd = absl::Seconds(2);
constexpr absl::Duration kLauncherEnd = absl::Seconds(4);

// Waits for the program's end, and expects it within `promised` at this load.
Finished WaitJudged(Program* program, absl::Duration promised) {
  const MonotonicTime begin = MonotonicNow();
  Finished finished = program->Wait(Patience(10));
  const absl::Duration took = MonotonicNow() - begin;
  EXPECT_LT(took, AtThisLoad(promised));
  return finished;
}

int FreePort() {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  EXPECT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  EXPECT_EQ(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length), 0);
  close(listener);
  return ntohs(address.sin_port);
}

// What the ranks are doing when the signal comes.
enum class Phase {
  kAlone,      // rank 1 waits for a coordinator that does not come
  kJoining,    // ranks 0 and 1 wait for rank 2
  kTraining,   // steps of 20 ms, so that ranks compute, exchange and wait for each other
  kLongBatch,  // in a batch of a minute
  kPeer,       // rank 1 is suspended, the others wait for it
};

struct Case {
  const char* name;
  int signal;
  int rank;
  Phase phase;
};

// Three ranks by hand.
class Ranks {
 public:
  explicit Ranks(Phase phase) : port_(FreePort()), out_(NewFolder("out")) {
    const char* const milliseconds = phase == Phase::kLongBatch ? "60000" : "20";
    const int first = phase == Phase::kAlone ? 1 : 0;
    const int count = phase == Phase::kAlone ? 1 : phase == Phase::kJoining ? 2 : 3;
    for (int rank = first; rank < first + count; ++rank) {
      std::vector<std::string> arguments =
          SmallRun("node", {"--arm", "ring", "--steps", "100000", "--emulate", milliseconds,
                            "--evaluate-every", "0", "--rank", absl::StrCat(rank), "--world-size",
                            "3", "--coordinator", absl::StrCat("127.0.0.1:", port_), "--out", out_,
                            "--set", "limits.wait_seconds=100"});
      programs_.resize(3);
      programs_[rank] = std::make_unique<Program>(arguments);
    }
  }

  Program& operator[](int rank) { return *programs_[rank]; }

  // Waits until the phase has begun: until each rank has its name, and has long had what it needs.
  void Await(Phase phase) {
    for (const auto& program : programs_) {
      if (program == nullptr) continue;
      EXPECT_TRUE(WaitUntil(
          kStart, [&] { return CommandLineOf(program->pid()).find("ringmaster: ") == 0; }));
    }
    if (phase == Phase::kAlone) return;
    // Rank 0 listens, and the others have connections to it.
    const int connections = phase == Phase::kJoining ? 2 : 3;
    EXPECT_TRUE(WaitUntil(kStart, [&] { return Established() >= 2 * connections; }))
        << Established();
    // From the last join on nothing can be seen from outside; the steps begin within this.
    WaitUntil(absl::Milliseconds(700), [] { return false; });
    if (phase != Phase::kPeer) return;
    (*this)[1].Signal(SIGSTOP);
    WaitUntil(absl::Milliseconds(200), [] { return false; });
  }

 private:
  // Ends of connections to or from the coordinator's port.
  int Established() const {
    const std::string port = absl::StrCat(":", absl::Hex(port_, absl::kZeroPad4), " ");
    int ends = 0;
    for (const char* const table : {"/proc/net/tcp", "/proc/net/tcp6"}) {
      std::ifstream file(table);
      for (std::string line; std::getline(file, line);) {
        absl::AsciiStrToLower(&line);
        // local address, remote address, state
        if (absl::StrContains(line, port) && absl::StrContains(line, " 01 ")) ++ends;
      }
    }
    return ends;
  }

  const int port_;
  const std::string out_;
  std::vector<std::unique_ptr<Program>> programs_;
};

class RankSignals : public testing::TestWithParam<Case> {};
constexpr auto NameOf = [](const testing::TestParamInfo<Case>& info) {
  return std::string(info.param.name);
};
INSTANTIATE_TEST_SUITE_P(Phases, RankSignals,
                         testing::Values(Case{"IntAlone", SIGINT, 1, Phase::kAlone},
                                         Case{"TermTraining", SIGTERM, 1, Phase::kTraining},
                                         Case{"TermToRankZeroInALongBatch", SIGTERM, 0,
                                              Phase::kLongBatch}),
                         NameOf);
INSTANTIATE_TEST_SUITE_P(MorePhases, RankSignals,
                         testing::Values(Case{"TermJoining", SIGTERM, 1, Phase::kJoining},
                                         Case{"HupToRankZeroJoining", SIGHUP, 0, Phase::kJoining},
                                         Case{"IntToRankZeroTraining", SIGINT, 0, Phase::kTraining},
                                         Case{"TermInALongBatch", SIGTERM, 2, Phase::kLongBatch},
                                         Case{"TermWhileAPeerIsAwaited", SIGTERM, 2, Phase::kPeer}),
                         NameOf);

TEST_P(RankSignals, EndTheRankInTimeAndNameItToTheOthers) {
  const auto [name, number, rank, phase] = GetParam();
  Ranks ranks(phase);
  ranks.Await(phase);
  ranks[rank].Signal(number);
  const Finished ended = WaitJudged(&ranks[rank], kRankEnd);
  EXPECT_EQ(ended.exit_code, 128 + number) << ended.err;
  const std::string said = absl::StrCat("worker/", rank, ": ended by SIG", sigabbrev_np(number));
  EXPECT_THAT(ended.err + ended.out, HasSubstr(said));
  if (phase == Phase::kAlone) return;
  // In the middle of a long batch a rank hears it when the batch is done; it can be told to end
  // too.
  const int other = rank == 0 ? 1 : 0;
  if (phase == Phase::kLongBatch && other == 1) {
    EXPECT_THAT(ended.out, HasSubstr(said));
    return;
  }
  if (phase == Phase::kLongBatch) ranks[0].Signal(SIGTERM);
  if (phase == Phase::kPeer) ranks[1].Signal(SIGKILL);
  const Finished rest = WaitJudged(&ranks[other], kLauncherEnd);
  EXPECT_NE(rest.exit_code, -1) << "rank " << other << " is still there";
  EXPECT_THAT(rest.err + rest.out, HasSubstr(said));
}

TEST(MoreDeaths, OfARankByHandNameTheSignalThatKilledIt) {
  Ranks ranks(Phase::kTraining);
  ranks.Await(Phase::kTraining);
  ranks[1].Signal(SIGKILL);  // this test waits for its end later than rank 0 looks
  const Finished led = ranks[0].Wait(kStart);
  EXPECT_EQ(led.exit_code, 1);
  EXPECT_THAT(led.out, HasSubstr("worker/1 (pid"));
  EXPECT_THAT(led.out, HasSubstr("ended before its work was done, with signal 9 (Killed)"));
}

std::vector<std::string> Compare(const char* arm, int steps, const std::vector<std::string>& more) {
  std::vector<std::string> arguments = {"--arms",           arm, "--steps", absl::StrCat(steps),
                                        "--evaluate-every", "0", "--out",   NewFolder("out")};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return SmallRun("compare", arguments);
}

// A pipe that nobody reads, with little room left: whoever writes to it waits.
class FullPipe {
 public:
  FullPipe() {
    EXPECT_EQ(pipe2(ends_, O_CLOEXEC), 0);
    EXPECT_GT(fcntl(ends_[1], F_SETPIPE_SZ, 4096), 0);
    const std::string filler(4000, ' ');
    EXPECT_EQ(write(ends_[1], filler.data(), filler.size()), static_cast<ssize_t>(filler.size()));
  }
  ~FullPipe() {
    close(ends_[0]);
    close(ends_[1]);
  }
  int input() const { return ends_[1]; }

 private:
  int ends_[2];
};

// Whether a process waits for room in a pipe.
bool WritesToAPipe(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/wchan"));
  std::string where;
  file >> where;
  return absl::StrContains(where, "pipe");
}

bool AllGone(const std::vector<pid_t>& pids) {
  for (const pid_t pid : pids) {
    if (StateOf(pid) != 0 && StateOf(pid) != 'Z') return false;
  }
  return true;
}

TEST(MoreLauncherSignals, EndEveryRankInALongBatchToo) {
  for (const int number : {SIGTERM, SIGHUP}) {
    Program program(Compare("ring", 100, {"--emulate", "25000"}));
    ASSERT_TRUE(WaitUntil(kStart, [&] { return ChildrenOf(program.pid()).size() == 2; }));
    const std::vector<pid_t> ranks = ChildrenOf(program.pid());
    for (const pid_t rank : ranks) {
      EXPECT_TRUE(WaitUntil(kStart, [&] { return CommandLineOf(rank).find("ringmaster: ") == 0; }));
    }
    // From the names on nothing can be seen from outside; the first batch begins within this.
    WaitUntil(absl::Milliseconds(700), [] { return false; });
    program.Signal(number);
    const Finished finished = WaitJudged(&program, kLauncherEnd);
    EXPECT_EQ(finished.exit_code, 128 + number) << finished.err;
    EXPECT_TRUE(AllGone(ranks));
    EXPECT_THAT(finished.out, HasSubstr("interrupted"));
  }
}

TEST(LauncherSignals, ASecondOneEndsItAtOnce) {
  // Nobody reads the table that the first one has it show.
  const FullPipe pipe;
  Program program(Compare("ring", 10000, {"--emulate", "20"}), {},
                  [&] { dup2(pipe.input(), STDOUT_FILENO); });
  ASSERT_TRUE(WaitUntil(kStart, [&] { return ChildrenOf(program.pid()).size() == 2; }));
  program.Signal(SIGINT);
  ASSERT_TRUE(WaitUntil(kStart, [&] { return WritesToAPipe(program.pid()); }));
  // Two that come together are one: a terminal that closes sends two.
  WaitUntil(absl::Milliseconds(400), [] { return false; });
  program.Signal(SIGINT);
  EXPECT_EQ(WaitJudged(&program, kRankEnd).exit_code, 130);
}

TEST(LauncherSignals, ThatWereIgnoredAtTheStartStayIgnoredInRanksToo) {
  Program program(Compare("ring", 40, {"--emulate", "30"}), {}, [] {
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) signal(number, SIG_IGN);
  });
  ASSERT_TRUE(program.WaitForError(" step ", kStart)) << program.ErrorSoFar();
  const pid_t rank = RankNamed(program.pid(), "worker/1");
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    program.Signal(number);
    kill(rank, number);
  }
  const Finished finished = program.Wait(kStart);
  EXPECT_EQ(finished.exit_code, 0) << finished.err << finished.out;
}

TEST(Stop, PausesTheRanksToo) {
  // In a process group of its own, as a shell's job: in one without a shell the system stops nobody
  // upon Ctrl-Z.
  Program program(Compare("ring", 60,
                          {"--emulate", "20", "--set", "limits.wait_seconds=1", "--set",
                           "limits.heartbeat_seconds=0.1"}),
                  {}, [] { setpgid(0, 0); });
  ASSERT_TRUE(program.WaitForError(" step ", kStart)) << program.ErrorSoFar();
  const std::vector<pid_t> ranks = ChildrenOf(program.pid());
  ASSERT_EQ(ranks.size(), 2u);
  program.Signal(SIGTSTP);
  ASSERT_TRUE(WaitUntil(Patience(5), [&] { return StateOf(program.pid()) == 'T'; }));
  for (const pid_t rank : ranks) EXPECT_EQ(StateOf(rank), 'T');
  WaitUntil(absl::Milliseconds(1800), [] { return false; });
  program.Signal(SIGCONT);
  const Finished finished = program.Wait(kStart);
  EXPECT_EQ(finished.exit_code, 0) << finished.out;
  EXPECT_THAT(finished.out, HasSubstr("stopped (Ctrl-Z) for "));
}

TEST(MoreStops, OfTheLauncherAloneCountsAgainstNoLimit) {
  Program program(Compare("ring", 100,
                          {"--emulate", "20", "--set", "limits.wait_seconds=1", "--set",
                           "limits.heartbeat_seconds=0.1"}));
  ASSERT_TRUE(program.WaitForError(" step ", kStart)) << program.ErrorSoFar();
  program.Signal(SIGSTOP);
  WaitUntil(absl::Milliseconds(2500), [] { return false; });
  program.Signal(SIGCONT);
  const Finished finished = program.Wait(kStart);
  EXPECT_EQ(finished.exit_code, 0) << finished.out;
}

TEST(CommandSignals, EndWhatStartsNoRanksAtOnce) {
  const std::vector<std::vector<std::string>> commands = {
      {"list"}, {"explain", "ring", "--workers", "4"}, {"doctor"}};
  for (const std::vector<std::string>& command : commands) {
    for (const int number : {SIGINT, SIGTERM}) {
      const FullPipe pipe;
      Program program(command, {}, [&] { dup2(pipe.input(), STDOUT_FILENO); });
      EXPECT_TRUE(WaitUntil(kStart, [&] { return WritesToAPipe(program.pid()); })) << command[0];
      program.Signal(number);
      EXPECT_EQ(WaitJudged(&program, kRankEnd).exit_code, 128 + number) << command[0];
    }
  }
}

TEST(Names, OfRanksAreTheirNodesAndTheLaunchersIsItsOwn) {
  Program program(Compare("ps-sharded", 10000, {"--emulate", "20"}));
  ASSERT_TRUE(program.WaitForError(" step ", kStart)) << program.ErrorSoFar();
  const auto short_name = [](pid_t pid) {
    std::ifstream file(absl::StrCat("/proc/", pid, "/comm"));
    std::string name;
    std::getline(file, name);
    return name;
  };
  EXPECT_EQ(short_name(RankNamed(program.pid(), "worker/0+server/0")), "rm:worker/0+ser");
  EXPECT_EQ(short_name(RankNamed(program.pid(), "worker/1+server/1")), "rm:worker/1+ser");
  EXPECT_EQ(short_name(program.pid()), "ringmaster");
  EXPECT_THAT(CommandLineOf(program.pid()), HasSubstr("ps-sharded"));
}

}  // namespace
}  // namespace ringmaster
