// Ranks started by hand or by a launcher.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/cluster/small_run.h"
#include "tests/support/patience.h"
#include "tests/support/program.h"

namespace ringmaster {
namespace {

using testing::HasSubstr;

constexpr absl::Duration kLimit = Patience(60);

// A listening socket on a port that the system chose; its number stays taken while this lives.
class TakenPort {
 public:
  TakenPort() : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    EXPECT_EQ(bind(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(listen(socket_, 1), 0);
    EXPECT_EQ(getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &length), 0);
    number_ = ntohs(address.sin_port);
  }
  ~TakenPort() { Release(); }
  void Release() {
    if (socket_ >= 0) close(socket_);
    socket_ = -1;
  }
  int number() const { return number_; }

 private:
  int socket_;
  int number_ = 0;
};

int FreePort() { return TakenPort().number(); }

std::vector<std::string> Rank(int rank, int port, const std::string& out,
                              const std::vector<std::string>& more = {}) {
  std::vector<std::string> arguments =
      SmallRun("node", {"--arm", "ring", "--steps", "20", "--rank", absl::StrCat(rank),
                        "--world-size", "2", "--coordinator", absl::StrCat("127.0.0.1:", port),
                        "--out", out, "--set", "limits.join_seconds=300"});
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

TEST(Node, TwoRanksByHandTrainAndRankZeroShowsTheTable) {
  const int port = FreePort();
  const std::string out = NewFolder("out");
  Program zero(Rank(0, port, out));
  Program one(Rank(1, port, out));
  const Finished first = zero.Wait(kLimit);
  EXPECT_EQ(first.exit_code, 0) << first.err;
  EXPECT_THAT(first.out, HasSubstr("ring"));
  const Finished second = one.Wait(kLimit);
  EXPECT_EQ(second.exit_code, 0) << second.err;
  EXPECT_EQ(second.out, "");
}

TEST(Node, WhoStartedTheRanksIsToldThatTheyMayBeStartedAgain) {
  const int port = FreePort();
  const std::string out = NewFolder("out");
  const std::vector<std::string> more = {"--set",
                                         "training.steps=1000000",
                                         "--set",
                                         "training.evaluate_every_samples=0",
                                         "--checkpoint-every",
                                         "1000000",
                                         "--checkpoints",
                                         NewFolder("checkpoints"),
                                         "--on-failure",
                                         "restart",
                                         "--verbose"};
  Program zero(Rank(0, port, out, more));
  Program one(Rank(1, port, out, more));
  ASSERT_TRUE(zero.WaitForError("worker/0: connected to all others", kLimit)) << zero.ErrorSoFar();
  one.Signal(SIGKILL);
  const Finished finished = zero.Wait(kLimit);
  EXPECT_EQ(finished.exit_code, 1) << finished.err;
  EXPECT_THAT(finished.out, testing::AllOf(HasSubstr("worker/1"), HasSubstr("all with --resume")));
}

TEST(Node, ASpecThatIsNotTheOneItsLauncherResolvedIsRefused) {
  const Finished rank =
      Program(Rank(0, FreePort(), NewFolder("out"), {"--joins", "--resolved", "0123456789abcdef"}))
          .Wait(kLimit);
  EXPECT_EQ(rank.exit_code, 2);
  EXPECT_THAT(rank.err, HasSubstr("--resolved 0123456789abcdef: the spec given is "));
}

TEST(Node, TakesItsPlaceFromALaunchersEnvironment) {
  const int port = FreePort();
  const std::string out = NewFolder("out");
  const auto environment = [port](int rank) {
    return std::vector<std::string>{absl::StrCat("RANK=", rank), "WORLD_SIZE=3",
                                    absl::StrCat("LOCAL_RANK=", rank), "MASTER_ADDR=127.0.0.1",
                                    absl::StrCat("MASTER_PORT=", port)};
  };
  // Two workers and a server: the number of workers follows from the launcher's world.
  const std::vector<std::string> arguments =
      SmallRun("node", {"--arm", "ps", "--steps", "20", "--out", out});
  Program zero(arguments, environment(0));
  Program one(arguments, environment(1));
  Program two(arguments, environment(2));
  const Finished finished = zero.Wait(kLimit);
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_EQ(one.Wait(kLimit).exit_code, 0);
  EXPECT_EQ(two.Wait(kLimit).exit_code, 0);
}

TEST(Node, ABusyPortIsAnErrorThatNamesIt) {
  TakenPort taken;
  const Finished finished = RunProgram(Rank(0, taken.number(), NewFolder("out")));
  EXPECT_EQ(finished.exit_code, 2);
  EXPECT_THAT(finished.err, HasSubstr(absl::StrCat("127.0.0.1:", taken.number())));
  EXPECT_THAT(finished.err, HasSubstr("busy"));
  EXPECT_EQ(std::count(finished.err.begin(), finished.err.end(), '\n'), 1) << finished.err;
}

TEST(Node, ASecondRankZeroAndAStrangerAreTurnedAwayAndTheRunIsUnharmed) {
  const int port = FreePort();
  const std::string out = NewFolder("out");
  Program zero(Rank(0, port, out, {"-v"}));
  // Until then its place is free.
  ASSERT_TRUE(zero.WaitForError("rank 0 has joined", kLimit)) << zero.ErrorSoFar();
  const Finished second_zero = RunProgram(Rank(0, port, out));
  EXPECT_EQ(second_zero.exit_code, 2);
  EXPECT_THAT(second_zero.err, HasSubstr("busy"));
  const Finished twin = RunProgram(Rank(0, port, out, {"--joins"}));
  EXPECT_EQ(twin.exit_code, 2);
  const Finished stranger = RunProgram(Rank(1, port, out), {"RINGMASTER_TOKEN=another"});
  EXPECT_EQ(stranger.exit_code, 2);
  EXPECT_THAT(stranger.err, HasSubstr("token"));
  Program one(Rank(1, port, out));
  EXPECT_EQ(zero.Wait(kLimit).exit_code, 0);
  EXPECT_EQ(one.Wait(kLimit).exit_code, 0);
}

TEST(Node, RanksThatStartFromDifferentSeedsAreRefused) {
  const int port = FreePort();
  const std::string out = NewFolder("out");
  const std::vector<std::string> token = {"RINGMASTER_TOKEN=secret"};
  Program zero(Rank(0, port, out), token);
  Program one(Rank(1, port, out, {"--seed", "9"}), token);
  const Finished finished = zero.Wait(kLimit);
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.out, HasSubstr("another resolved spec"));
  EXPECT_EQ(one.Wait(kLimit).exit_code, 1);
}

// One worker, whose place the environment or flags give.
std::vector<std::string> Alone(const std::vector<std::string>& more) {
  std::vector<std::string> arguments =
      SmallRun("node", {"--arm", "ring", "--steps", "3", "--out", NewFolder("out")});
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

const std::vector<std::string> kAllFlags = {"--rank",        "0",          "--world-size", "1",
                                            "--coordinator", "127.0.0.1:0"};

TEST(Node, LaunchersThatContradictEachOtherEndItWithBothNamesAndFlagsDecide) {
  const std::vector<std::string> rank = {"RANK=0", "OMPI_COMM_WORLD_RANK=1", "WORLD_SIZE=1",
                                         "MASTER_ADDR=127.0.0.1", "MASTER_PORT=1"};
  const Finished contradicted = RunProgram(Alone({}), rank);
  EXPECT_EQ(contradicted.exit_code, 2);
  EXPECT_THAT(contradicted.err, HasSubstr("RANK=0"));
  EXPECT_THAT(contradicted.err, HasSubstr("OMPI_COMM_WORLD_RANK=1"));
  const Finished of_size =
      RunProgram(Alone({"--rank", "0"}), {"WORLD_SIZE=1", "OMPI_COMM_WORLD_SIZE=2"});
  EXPECT_EQ(of_size.exit_code, 2);
  EXPECT_THAT(of_size.err, HasSubstr("WORLD_SIZE=1"));
  EXPECT_THAT(of_size.err, HasSubstr("OMPI_COMM_WORLD_SIZE=2"));
  const Finished decided = RunProgram(Alone(kAllFlags), rank);
  EXPECT_EQ(decided.exit_code, 0) << decided.err;
}

TEST(Node, KubernetesMasterPortIsNamedAsItsOwnAndIgnoredWhereNobodyNeedsIt) {
  const std::vector<std::string> pod = {"MASTER_PORT=tcp://10.96.0.1:29500"};
  const Finished named = RunProgram(Alone({"--rank", "0", "--world-size", "1"}), pod);
  EXPECT_EQ(named.exit_code, 2);
  EXPECT_THAT(named.err, HasSubstr("Kubernetes"));
  EXPECT_THAT(named.err, HasSubstr("--coordinator"));
  const Finished ignored = RunProgram(Alone(kAllFlags), pod);
  EXPECT_EQ(ignored.exit_code, 0) << ignored.err;
  const Finished compared = RunProgram(
      SmallRun("compare", {"--arms", "single", "--steps", "3", "--out", NewFolder("out")}), pod);
  EXPECT_EQ(compared.exit_code, 0) << compared.err;
}

TEST(Node, AWildcardIsForRankZeroAloneAndIPv6HasBrackets) {
  const Finished one =
      RunProgram(Alone({"--rank", "1", "--world-size", "2", "--coordinator", "0.0.0.0:29500"}),
                 {"RINGMASTER_TOKEN=secret"});
  EXPECT_EQ(one.exit_code, 2);
  EXPECT_THAT(one.err, HasSubstr("none to connect to"));
  const Finished bare =
      RunProgram(Alone({"--rank", "1", "--world-size", "2", "--coordinator", "::1:29500"}));
  EXPECT_EQ(bare.exit_code, 2);
  EXPECT_THAT(bare.err, HasSubstr("brackets"));
  const Finished zero =
      RunProgram(Alone({"--rank", "0", "--world-size", "1", "--coordinator", "0.0.0.0:0", "--set",
                        "transport.listen_address=0.0.0.0", "--insecure"}),
                 {"RINGMASTER_TOKEN=secret"});
  EXPECT_EQ(zero.exit_code, 0) << zero.err;
}

TEST(Node, ARankThatNeverComesIsNamedWhenTheTimeIsUp) {
  const Finished finished =
      RunProgram(Rank(0, FreePort(), NewFolder("out"), {"--set", "limits.join_seconds=1"}));
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_THAT(finished.out, HasSubstr("rank 1"));
  EXPECT_THAT(finished.out, HasSubstr("join_seconds"));
}

}  // namespace
}  // namespace ringmaster
