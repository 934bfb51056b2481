// How processes and their coordinator find each other, or say why they do not: real sockets, names
// and processes.
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/addresses.h"
#include "common/base/monotonic.h"
#include "common/control/control_client.h"
#include "common/control/coordinator.h"
#include "common/transport/socket.h"
#include "gtest/gtest.h"
#include "tests/support/patience.h"

namespace ringmaster {
namespace {

constexpr absl::Duration kLimit = Patience(30);
// For what fails when this is over: as long as a look at the other side takes.
absl::Duration Short() { return AtThisLoad(absl::Milliseconds(400)); }

CoordinatorOptions OptionsOf(int32_t processes, absl::Duration join_limit) {
  CoordinatorOptions options;
  options.credentials.token = "the token";
  options.processes = processes;
  options.join_limit = join_limit;
  options.silence_limit = kLimit;
  return options;
}

std::unique_ptr<Coordinator> StartCoordinator(const CoordinatorOptions& options) {
  auto coordinator = Coordinator::Start(options);
  EXPECT_TRUE(coordinator.ok()) << coordinator.status();
  return *std::move(coordinator);
}

Join JoinOf(int32_t index, int32_t processes) {
  Join join;
  join.set_process(index);
  join.set_processes(processes);
  join.set_kernel_target("cpu/avx2");
  join.set_data_endpoint(absl::StrCat("127.0.0.1:", 4000 + index));
  join.add_nodes()->set_index(index);
  return join;
}

absl::StatusOr<std::unique_ptr<ControlClient>> Attend(const HostPort& endpoint, const Join& join,
                                                      absl::Duration limit,
                                                      const JobCredentials& credentials = {
                                                          "the token", nullptr}) {
  return ControlClient::Attend(
      endpoint, credentials, join, MonotonicNow() + limit, [](const absl::Status&) {},
      [] { return Heartbeat(); }, absl::Milliseconds(50));
}

void ExpectError(const absl::Status& status, absl::StatusCode code,
                 const std::vector<std::string>& parts) {
  EXPECT_EQ(status.code(), code) << status;
  for (const std::string& part : parts)
    EXPECT_TRUE(absl::StrContains(status.message(), part)) << status << " lacks " << part;
}

// Somebody else's listener at a port of loopback.
struct Stranger {
  Listener listener = *ListenAt("127.0.0.1");
  HostPort endpoint = *HostPort::Parse(listener.endpoint);
};

absl::Status FailureOf(Coordinator& coordinator) {
  EXPECT_TRUE(coordinator.WaitFor(kLimit));
  return coordinator.Result().status();
}

TEST(Joining, ACoordinatorThatStartsLaterIsFound) {
  CoordinatorOptions options = OptionsOf(1, kLimit);
  options.listen_at = Stranger().endpoint;  // which is free again
  absl::StatusOr<std::unique_ptr<ControlClient>> client;
  std::thread early([&] { client = Attend(options.listen_at, JoinOf(0, 1), kLimit); });
  const auto until = MonotonicNow() + Short();
  while (MonotonicNow() < until) std::this_thread::yield();
  const auto coordinator = StartCoordinator(options);
  early.join();
  EXPECT_TRUE(client.ok()) << client.status();
  client = absl::CancelledError();
}

TEST(Joining, WhoHangsUpIsAskedAgainUntilACoordinatorIsThere) {
  CoordinatorOptions options = OptionsOf(1, kLimit);
  absl::StatusOr<std::unique_ptr<ControlClient>> client;
  std::thread joining;
  {
    Stranger stranger;
    options.listen_at = stranger.endpoint;
    joining = std::thread([&] { client = Attend(options.listen_at, JoinOf(0, 1), kLimit); });
    for (int calls = 0; calls < 2;) {
      const Fd call(accept(stranger.listener.fd.get(), nullptr, nullptr));
      if (call.valid()) ++calls;
      std::this_thread::yield();
    }
  }
  const auto coordinator = StartCoordinator(options);
  joining.join();
  EXPECT_TRUE(client.ok()) << client.status();
  client = absl::CancelledError();
}

TEST(Joining, AProgramThatIsNoCoordinatorIsToldFromNobody) {
  const Stranger stranger;
  ExpectError(Attend(stranger.endpoint, JoinOf(0, 1), Short()).status(),
              absl::StatusCode::kDeadlineExceeded,
              {stranger.endpoint.ToString(), "takes connections", absl::StrCat("pid ", getpid())});
}

TEST(Joining, ANameThatIsUnknownIsNamedByWhoSearchesAndByWhoListens) {
  const HostPort nowhere = {"no-such-host.invalid", 29500};
  ExpectError(Attend(nowhere, JoinOf(0, 1), Short()).status(), absl::StatusCode::kDeadlineExceeded,
              {"no-such-host.invalid", "does not resolve", "--coordinator"});
  CoordinatorOptions options = OptionsOf(1, Short());
  options.listen_at = nowhere;
  ExpectError(Coordinator::Start(options).status(), absl::StatusCode::kUnavailable,
              {"no-such-host.invalid", "does not resolve", "limits.join_seconds"});
}

TEST(Joining, AnAddressOfAnotherMachineIsToldFromATakenPort) {
  CoordinatorOptions options = OptionsOf(1, kLimit);
  options.listen_at = {"192.0.2.77", 29500};  // reserved for documentation: nobody's
  ExpectError(Coordinator::Start(options).status(), absl::StatusCode::kUnavailable,
              {"192.0.2.77 is no address of this machine", "127.0.0.1 (lo)"});
  const Stranger stranger;
  options.listen_at = stranger.endpoint;
  ExpectError(Coordinator::Start(options).status(), absl::StatusCode::kUnavailable,
              {"the port is busy", absl::StrCat("pid ", getpid()), "--coordinator"});
}

TEST(Joining, AWildcardIsListenedAtAndNeverHandedOut) {
  for (const char* wildcard : {"0.0.0.0", ""}) {
    CoordinatorOptions options = OptionsOf(1, kLimit);
    options.listen_at = {wildcard, 0};
    const auto coordinator = StartCoordinator(options);
    EXPECT_EQ(coordinator->endpoint().host, "127.0.0.1");
    Join join = JoinOf(0, 1);
    join.set_data_endpoint("0.0.0.0:4000");
    const auto client = Attend(coordinator->endpoint(), join, kLimit);
    ASSERT_TRUE(client.ok()) << client.status();
    EXPECT_EQ((*client)->welcome().processes(0).data_endpoint(), "127.0.0.1:4000");
  }
}

// An IPv4 address of this machine that is not loopback; empty: there is none.
std::string OuterAddress() {
  for (const std::string& own : OwnAddresses()) {
    const std::string host = own.substr(0, own.find(' '));
    if (!IsLoopback(host) && !absl::StrContains(host, ':')) return host;
  }
  return "";
}

TEST(Joining, WhoListensEverywhereIsNamedByTheAddressThatOthersCameBy) {
  const std::string outer = OuterAddress();
  if (outer.empty()) GTEST_SKIP() << "this machine has no address but loopback";
  CoordinatorOptions options = OptionsOf(2, kLimit);
  options.listen_at = {"0.0.0.0", 0};
  const auto coordinator = StartCoordinator(options);
  const int port = coordinator->endpoint().port;
  Join joins[] = {JoinOf(0, 2), JoinOf(1, 2)};
  for (Join& join : joins) join.set_data_endpoint("0.0.0.0:4000");
  absl::StatusOr<std::unique_ptr<ControlClient>> other;
  std::thread joining([&] { other = Attend({outer, port}, joins[1], kLimit); });
  const auto zero = Attend(coordinator->endpoint(), joins[0], kLimit);
  joining.join();
  ASSERT_TRUE(zero.ok() && other.ok()) << zero.status() << other.status();
  for (const auto& process : (*zero)->welcome().processes())
    EXPECT_EQ(process.data_endpoint(), outer + ":4000");
}

// A process that waits for its end.
class Child {
 public:
  Child() : pid_(fork()) {
    if (pid_ != 0) return;
    for (;;) pause();
  }
  ~Child() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  pid_t pid() const { return pid_; }

 private:
  const pid_t pid_;
};

TEST(Joining, OfEachMissingRankItIsSaidWhatIsKnown) {
  // Forked before the coordinator has threads.
  const Child starting, suspended;
  const pid_t ended = fork();
  if (ended == 0) _exit(3);
  kill(suspended.pid(), SIGSTOP);
  ASSERT_EQ(waitpid(suspended.pid(), nullptr, WUNTRACED), suspended.pid());
  const auto coordinator = StartCoordinator(OptionsOf(6, absl::Seconds(1)));
  coordinator->NoteStarted(1, starting.pid());
  coordinator->NoteStarted(2, suspended.pid());
  coordinator->NoteStarted(3, ended);
  const JobCredentials another = {"another token", nullptr};
  EXPECT_EQ(Attend(coordinator->endpoint(), JoinOf(4, 6), kLimit, another).status().code(),
            absl::StatusCode::kPermissionDenied);
  ExpectError(FailureOf(*coordinator), absl::StatusCode::kDeadlineExceeded,
              {"rank 0, 1, 2, 3, 4, 5 of 6 did not join within 1s",
               "of ranks 0, 5: nothing was heard", coordinator->endpoint().ToString(),
               absl::StrCat("of rank 1: its process (pid ", starting.pid(), ") is still starting"),
               absl::StrCat("of rank 2: its process (pid ", suspended.pid(), ") is suspended"),
               "kill -CONT", absl::StrCat("of rank 3: its process (pid ", ended, ") has ended"),
               "of rank 4: a process came and was turned away: the rank's token"});
  waitpid(ended, nullptr, 0);
}

// The number that the next descriptor would have: all below it are in use.
int NextDescriptor() { return Fd(dup(STDIN_FILENO)).get(); }

TEST(Joining, ACoordinatorWithoutDescriptorsSaysThatItCannotAccept) {
  const auto coordinator = StartCoordinator(OptionsOf(2, absl::Seconds(1)));
  const SocketAddress address = Resolve(coordinator->endpoint())->front();
  const Fd caller(socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none = {static_cast<rlim_t>(NextDescriptor()), before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  EXPECT_EQ(connect(caller.get(), address.get(), address.size()), 0);
  const absl::Status failure = FailureOf(*coordinator);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  ExpectError(failure, absl::StatusCode::kDeadlineExceeded,
              {"rank 0 cannot accept connections", "ulimit -n"});
}

}  // namespace
}  // namespace ringmaster
