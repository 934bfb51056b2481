// What every network fabric does when a peer, a stranger or the machine misbehaves.
#include <dirent.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <functional>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/monotonic.h"
#include "common/base/random.h"
#include "common/transport/frame.h"
#include "common/transport/socket.h"
#include "gtest/gtest.h"
#include "tests/contract/transport/fabric_group.h"
#include "tests/support/patience.h"

namespace ringmaster {
namespace {

using Bytes = std::vector<std::byte>;

FabricOptions OptionsOf(const std::string& name) {
  FabricOptions options;
  SetTransport(name, &options);
  options.credentials.token = "of this test";
  return options;
}

int CountEntries(const char* folder) {
  int count = 0;
  DIR* const open = opendir(folder);
  while (readdir(open) != nullptr) ++count;
  closedir(open);
  return count;
}

// gRPC ends its own threads and descriptors in the background, so the counts are awaited.
bool Await(const std::function<bool()>& holds) {
  const MonotonicTime deadline = Soon();
  while (!holds()) {
    if (MonotonicNow() > deadline) return false;
    poll(nullptr, 0, 1);
  }
  return true;
}

class NetworkFabric : public testing::TestWithParam<std::string> {
 protected:
  FabricOptions Options() const { return OptionsOf(GetParam()); }

  // Two processes with a worker each, endpoints known, not connected.
  void CreateTwo(const FabricOptions& first, const FabricOptions& second) {
    for (const FabricOptions& options : {first, second}) {
      absl::StatusOr<std::unique_ptr<Fabric>> fabric = CreateTestFabric(options);
      ASSERT_TRUE(fabric.ok()) << fabric.status();
      processes_.push_back(
          {(*fabric)->endpoint(), {Worker(static_cast<int32_t>(processes_.size()))}});
      fabrics_.push_back(*std::move(fabric));
    }
  }

  // Connects both at once.
  std::array<absl::Status, 2> ConnectTwo(absl::Duration first_limit = Patience(30)) {
    std::array<absl::Status, 2> statuses;
    std::thread other([&] { statuses[1] = fabrics_[1]->Connect(processes_, 1, Soon()); });
    statuses[0] = fabrics_[0]->Connect(processes_, 0, MonotonicNow() + first_limit);
    other.join();
    return statuses;
  }

  std::vector<ProcessAddress> processes_;
  std::vector<std::unique_ptr<Fabric>> fabrics_;
};

TEST_P(NetworkFabric, WrongTokenIsRefusedAndTheRunWaitsForItsOwn) {
  FabricOptions stranger = Options();
  stranger.credentials.token = "of another run";
  CreateTwo(Options(), stranger);
  const auto statuses = ConnectTwo(AtThisLoad(absl::Milliseconds(500)));
  EXPECT_EQ(statuses[1].code(), absl::StatusCode::kPermissionDenied) << statuses[1];
  EXPECT_EQ(statuses[0].code(), absl::StatusCode::kDeadlineExceeded) << statuses[0];
  EXPECT_TRUE(absl::StrContains(statuses[0].message(), "worker/1")) << statuses[0];
  EXPECT_TRUE(absl::StrContains(statuses[0].message(), "1 connections turned away")) << statuses[0];
}

TEST_P(NetworkFabric, AnotherSegmentSizeFailsBothEnds) {
  FabricOptions other = Options();
  other.segment_bytes = 4096;
  CreateTwo(Options(), other);
  for (const absl::Status& status : ConnectTwo()) {
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  }
}

TEST_P(NetworkFabric, MissingProcessIsNamedWhenTheDeadlinePasses) {
  CreateTwo(Options(), Options());
  const absl::Status status =
      fabrics_[0]->Connect(processes_, 0, MonotonicNow() + absl::Milliseconds(50));
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(absl::StrContains(status.message(), "process 1 (worker/1)")) << status;
}

TEST_P(NetworkFabric, AbortWhileAPeerIsAwaitedEndsConnect) {
  CreateTwo(Options(), Options());
  std::thread aborts([this] { fabrics_[0]->Abort(absl::CancelledError("the peer has ended")); });
  // worker/1 never comes.
  const absl::Status status = fabrics_[0]->Connect(processes_, 0, MonotonicTime::InfiniteFuture());
  aborts.join();
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
  EXPECT_EQ(status.message(), "the peer has ended");
}

TEST_P(NetworkFabric, AbortBeforeTheProcessesAreConnectedIsNotForgotten) {
  CreateTwo(Options(), Options());
  const absl::Status why = absl::CancelledError("the run has failed");
  fabrics_[0]->Abort(why);
  EXPECT_EQ(ConnectTwo()[0], why);
  std::array<std::byte, 4> out;
  EXPECT_EQ(fabrics_[0]
                ->transport(Worker(0))
                .Receive({Worker(1), TestTag(0), absl::MakeSpan(out)})
                .status(),
            why);
}

TEST_P(NetworkFabric, EndpointWhereNobodyListensIsUnavailableAtOnce) {
  CreateTwo(Options(), Options());
  fabrics_[0].reset();
  const absl::Status status = fabrics_[1]->Connect(processes_, 1, Soon());
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(absl::StrContains(status.message(), "worker/0")) << status;
}

TEST_P(NetworkFabric, BusyPortAndForeignAddressAreUnavailableWithARemedy) {
  CreateTwo(Options(), Options());
  FabricOptions busy = Options();
  busy.listen_address = fabrics_[0]->endpoint();
  const absl::Status taken = CreateTestFabric(busy).status();
  EXPECT_EQ(taken.code(), absl::StatusCode::kUnavailable) << taken;
  EXPECT_TRUE(absl::StrContains(taken.message(), "leave the port out")) << taken;
  EXPECT_TRUE(absl::StrContains(taken.message(), absl::StrCat("pid ", getpid()))) << taken;
  busy.listen_address = "192.0.2.1";  // reserved for documentation: nobody's
  const absl::Status foreign = CreateTestFabric(busy).status();
  EXPECT_EQ(foreign.code(), absl::StatusCode::kUnavailable) << foreign;
  EXPECT_TRUE(absl::StrContains(foreign.message(), "127.0.0.1")) << foreign;
  busy.listen_address = "localhost";
  EXPECT_EQ(CreateTestFabric(busy).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_P(NetworkFabric, IPv6LoopbackIsAsGoodAsIPv4) {
  FabricOptions options = Options();
  options.listen_address = "::1";
  if (!ListenAt(options.listen_address).ok()) GTEST_SKIP() << "this machine has no IPv6";
  CreateTwo(options, options);
  EXPECT_TRUE(absl::StartsWith(processes_[0].endpoint, "[::1]:")) << processes_[0].endpoint;
  for (const absl::Status& status : ConnectTwo()) ASSERT_TRUE(status.ok()) << status;
}

TEST_P(NetworkFabric, PeerThatGoesAwayWakesWaitersAndIsNamed) {
  absl::StatusOr<FabricGroup> group = JoinFabrics(Options(), {1, 2});
  ASSERT_TRUE(group.ok()) << group.status();
  Bytes out(4);
  auto post = group->worker(0).Receive({Worker(2), TestTag(1), absl::MakeSpan(out)});
  ASSERT_TRUE(post.ok());
  absl::Status status;
  std::thread waiter([&] { status = group->worker(0).Wait(*post, Soon()); });
  group->fabrics[1].reset();
  waiter.join();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "process 1 (worker/1, worker/2)")) << status;
}

TEST_P(NetworkFabric, FabricWithUnsentMegabytesAndUnreadOnesEndsAtOnce) {
  FabricOptions options = Options();
  const Bytes in(64 << 20);
  absl::StatusOr<FabricGroup> group = JoinFabrics(options, {1, 1});
  ASSERT_TRUE(group.ok()) << group.status();
  ASSERT_TRUE(group->worker(0).Send({Worker(1), TestTag(1), in}).ok());
  ASSERT_TRUE(group->worker(1).Send({Worker(0), TestTag(1), in}).ok());
  const MonotonicTime begin = MonotonicNow();
  group->fabrics[0].reset();
  group->fabrics[1].reset();
  const absl::Duration took = MonotonicNow() - begin;
  EXPECT_LT(took, AtThisLoad(absl::Seconds(2)));
}

TEST_P(NetworkFabric, HostileBytesAtTheListenerLeaveTheRunUnharmed) {
  CreateTwo(Options(), Options());
  FrameHeader huge;
  huge.total_bytes = int64_t{1} << 60;
  huge.length = 0xFFFFFFFF;
  const FrameHeaderBytes frame = EncodeFrameHeader(huge);
  std::vector<std::string> attacks = {
      "",
      "R",
      "RMHELLO1",
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
      std::string("RMHELLO1") + std::string(200, '\xff'),
      std::string(reinterpret_cast<const char*>(frame.data()), frame.size())};
  Random random(3);
  for (int i = 0; i < 20; ++i) {
    std::string noise(random.Below(5000), '\0');
    for (char& byte : noise) byte = static_cast<char>(random.Next());
    attacks.push_back(noise);
  }
  std::vector<Fd> open;  // half of the strangers stay and say nothing more
  for (size_t i = 0; i < attacks.size(); ++i) {
    absl::StatusOr<Fd> stranger = StartConnecting(processes_[0].endpoint);
    ASSERT_TRUE(stranger.ok());
    pollfd writable = {stranger->get(), POLLOUT, 0};
    ASSERT_EQ(poll(&writable, 1, absl::ToInt64Milliseconds(Patience(10))), 1);
    send(stranger->get(), attacks[i].data(), attacks[i].size(), MSG_NOSIGNAL);
    if (i % 2 == 0) open.push_back(*std::move(stranger));
  }
  for (const absl::Status& status : ConnectTwo()) ASSERT_TRUE(status.ok()) << status;
  // And once connected nobody listens any more.
  absl::StatusOr<Fd> late = StartConnecting(processes_[0].endpoint);
  int error = late.ok() ? 0 : ECONNREFUSED;
  if (late.ok()) {
    pollfd outcome = {late->get(), POLLOUT, 0};
    ASSERT_EQ(poll(&outcome, 1, absl::ToInt64Milliseconds(Patience(10))), 1);
    socklen_t size = sizeof(error);
    getsockopt(late->get(), SOL_SOCKET, SO_ERROR, &error, &size);
  }
  EXPECT_EQ(error, ECONNREFUSED);
  Bytes in(1000, std::byte{7}), out(1000);
  auto post =
      fabrics_[1]->transport(Worker(1)).Receive({Worker(0), TestTag(1), absl::MakeSpan(out)});
  auto sent = fabrics_[0]->transport(Worker(0)).Send({Worker(1), TestTag(1), in});
  ASSERT_TRUE(post.ok() && sent.ok());
  ASSERT_TRUE(fabrics_[1]->transport(Worker(1)).Wait(*post, Soon()).ok());
  ASSERT_TRUE(fabrics_[0]->transport(Worker(0)).Wait(*sent, Soon()).ok());
  EXPECT_TRUE(in == out);
}

// The main one, gRPC's two, and ThreadSanitizer's own.
#ifdef __SANITIZE_THREAD__
constexpr int kKeptThreads = 4;
#else
constexpr int kKeptThreads = 3;
#endif

TEST_P(NetworkFabric, DestructionLeavesNoThreadAndNoDescriptor) {
  // The first use starts what gRPC keeps for the life of the process.
  ASSERT_TRUE(JoinFabrics(Options(), {1, 1}).ok());
  int threads = 0, descriptors = 0;
  for (int round = 0; round < 3; ++round) {
    {
      absl::StatusOr<FabricGroup> group = JoinFabrics(Options(), {1, 1, 1});
      ASSERT_TRUE(group.ok()) << group.status();
      EXPECT_GT(CountEntries("/proc/self/fd"), descriptors);
    }
    if (round == 0) {
      ASSERT_TRUE(Await([] { return CountEntries("/proc/self/task") <= kKeptThreads; }))
          << CountEntries("/proc/self/task");
      threads = CountEntries("/proc/self/task");
      descriptors = CountEntries("/proc/self/fd");
    }
    EXPECT_TRUE(Await([&] {
      return CountEntries("/proc/self/task") <= threads &&
             CountEntries("/proc/self/fd") <= descriptors;
    })) << CountEntries("/proc/self/task")
        << " threads, " << CountEntries("/proc/self/fd") << " descriptors";
  }
}

std::vector<std::string> NetworkNames() {
  std::vector<std::string> names;
  for (const TransportInfo& info : Transports()) {
    if (std::string(info.name) == "inproc") continue;
    names.push_back(info.name);
    names.push_back(absl::StrCat("tls_", info.name));
  }
  for (const std::string& name : HostTransports()) names.push_back(name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(All, NetworkFabric, testing::ValuesIn(NetworkNames()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace ringmaster
