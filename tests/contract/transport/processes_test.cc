// What fabrics do between real processes: exchange for long, and survive the sudden death of a
// peer.
#include <dirent.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/monotonic.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "gtest/gtest.h"
#include "tests/contract/transport/fabric_group.h"

namespace ringmaster {
namespace {

// A pipe's ends; the endpoints of the fabrics go through it as lines of fixed length.
struct Pipe {
  int ends[2];
  Pipe() { EXPECT_EQ(pipe(ends), 0); }
  ~Pipe() {
    close(ends[0]);
    close(ends[1]);
  }
  // The other end is the peer's alone, so that its death ends a Get.
  void Keep(int end) {
    close(ends[1 - end]);
    ends[1 - end] = -1;
  }
  void Put(const std::string& text) {
    char line[64] = {};
    std::memcpy(line, text.data(), std::min(text.size(), sizeof(line) - 1));
    EXPECT_EQ(write(ends[1], line, sizeof(line)), static_cast<ssize_t>(sizeof(line)));
  }
  std::string Get() {
    char line[64] = {};
    EXPECT_EQ(read(ends[0], line, sizeof(line)), static_cast<ssize_t>(sizeof(line)));
    return line;
  }
};

using Scenario = std::function<absl::Status(Fabric& fabric)>;

class Processes : public testing::TestWithParam<std::string> {
 protected:
  // Runs `in_child` as worker/1 in a process of its own, and `in_parent`, told the child's pid, as
  // worker/0 here.
  void Run(const std::function<absl::Status(Fabric& fabric, pid_t child)>& in_parent,
           const Scenario& in_child) {
    Pipe up, down;
    TestIdentity();  // the child has the same
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    (child == 0 ? up : down).Keep(1);
    (child == 0 ? down : up).Keep(0);
    if (child == 0) {
      const absl::Status status = Live(1, &up, &down, in_child);
      if (!status.ok()) fprintf(stderr, "child: %s\n", status.ToString().c_str());
      _exit(status.ok() ? 0 : 1);
    }
    const absl::Status status =
        Live(0, &down, &up, [&](Fabric& fabric) { return in_parent(fabric, child); });
    EXPECT_TRUE(status.ok()) << status;
    if (!status.ok()) kill(child, SIGKILL);
    ASSERT_EQ(waitpid(child, &child_status_, 0), child);
  }

  absl::Status Live(int32_t rank, Pipe* to_peer, Pipe* from_peer, const Scenario& scenario) {
    FabricOptions options;
    SetTransport(GetParam(), &options);
    options.credentials.token = "of this test";
    RM_ASSIGN_OR_RETURN(std::unique_ptr<Fabric> fabric, CreateTestFabric(options));
    to_peer->Put(fabric->endpoint());
    std::vector<ProcessAddress> processes(2);
    for (int32_t i = 0; i < 2; ++i) {
      processes[i] = {i == rank ? fabric->endpoint() : from_peer->Get(), {Worker(i)}};
    }
    RM_RETURN_IF_ERROR(fabric->Connect(processes, rank, Soon()));
    RM_RETURN_IF_ERROR(scenario(*fabric));
    if (!leave_together_) return absl::OkStatus();
    // What a process sent last may be lost when it leaves.
    to_peer->Put("done");
    from_peer->Get();
    return absl::OkStatus();
  }

  bool leave_together_ = true;
  int child_status_ = -1;
};

constexpr int kMessages = 100'000;
constexpr int kWindow = 64;  // messages on their way at once
constexpr int64_t kFloatsMax = 4000;

int64_t FloatsOf(int message) { return static_cast<int64_t>(MixSeed(7, message) % kFloatsMax); }
float ValueOf(int message, int64_t i) { return static_cast<float>((message * 31 + i) % 1000); }

// Sends and receives kMessages messages of all sizes, a window at a time; posts a window in random
// order, half of it before the sends; every other message is added to ones.
absl::Status ExchangeAll(Fabric& fabric, int32_t rank) {
  Transport& transport = fabric.transport(Worker(rank));
  const NodeId peer = Worker(1 - rank);
  RM_ASSIGN_OR_RETURN(Buffer exchange, fabric.AllocateExchange(kWindow * kFloatsMax * 4));
  RM_ASSIGN_OR_RETURN(Buffer ordinary, Buffer::AllocateHost(kWindow * kFloatsMax * 4));
  std::vector<float> in(kWindow * kFloatsMax);
  std::vector<OpId> sends(kWindow), posts(kWindow);
  std::vector<int> order(kWindow);
  std::iota(order.begin(), order.end(), 0);
  Random random(rank);
  for (int base = 0; base < kMessages; base += kWindow) {
    const int count = std::min(kWindow, kMessages - base);
    order.resize(count);
    std::iota(order.begin(), order.end(), 0);
    for (int i = count - 1; i > 0; --i) std::swap(order[i], order[random.Below(i + 1)]);
    const auto post = [&](int place) -> absl::Status {
      const int i = order[place];
      float* const data = in.data() + i * kFloatsMax;
      const int64_t floats = FloatsOf(base + i);
      const bool adds = i % 2 == 1;
      std::fill(data, data + floats, adds ? 1.0f : -1.0f);
      RM_ASSIGN_OR_RETURN(
          posts[i],
          transport.Receive({peer, TestTag(base + i),
                             absl::MakeSpan(reinterpret_cast<std::byte*>(data), floats * 4),
                             adds ? ReceiveMode::kAddFloat32 : ReceiveMode::kStore}));
      return absl::OkStatus();
    };
    for (int place = 0; place < count / 2; ++place) RM_RETURN_IF_ERROR(post(place));
    for (int i = 0; i < count; ++i) {
      float* const data = (i % 3 == 0 ? ordinary : exchange).floats() + i * kFloatsMax;
      const int64_t floats = FloatsOf(base + i);
      for (int64_t k = 0; k < floats; ++k) data[k] = ValueOf(base + i, k);
      RM_ASSIGN_OR_RETURN(sends[i], transport.Send({peer,
                                                    TestTag(base + i),
                                                    {reinterpret_cast<const std::byte*>(data),
                                                     static_cast<size_t>(floats * 4)}}));
    }
    for (int place = count / 2; place < count; ++place) RM_RETURN_IF_ERROR(post(place));
    for (int i = 0; i < count; ++i) {
      RM_RETURN_IF_ERROR(transport.Wait(posts[i], Soon()));
      const float* const data = in.data() + i * kFloatsMax;
      for (int64_t k = 0; k < FloatsOf(base + i); ++k) {
        const float expected = ValueOf(base + i, k) + (i % 2 == 1 ? 1.0f : 0.0f);
        if (data[k] == expected) continue;
        return absl::DataLossError(absl::StrCat("message ", base + i, " float ", k, " is ", data[k],
                                                ", expected ", expected));
      }
    }
    for (int i = 0; i < count; ++i) RM_RETURN_IF_ERROR(transport.Wait(sends[i], Soon()));
  }
  return absl::OkStatus();
}

TEST_P(Processes, HundredThousandMessagesOfAllSizesComeAsTheyWereSent) {
  Run([](Fabric& fabric, pid_t) { return ExchangeAll(fabric, 0); },
      [](Fabric& fabric) { return ExchangeAll(fabric, 1); });
  EXPECT_EQ(child_status_, 0);
}

int EntriesOf(const char* folder) {
  int count = 0;
  DIR* const open = opendir(folder);
  if (open == nullptr) return 0;
  while (readdir(open) != nullptr) ++count;
  closedir(open);
  return count;
}

TEST_P(Processes, KilledPeerWakesTheWaiterByNameAndLeavesNothingBehind) {
  leave_together_ = false;
  const int before = EntriesOf("/dev/shm");
  std::vector<std::byte> out(1 << 20);
  const auto die = [&](Fabric& fabric, pid_t child) -> absl::Status {
    Transport& transport = fabric.transport(Worker(0));
    // Bytes of the peer's memory that were never read may be read after its death.
    RM_ASSIGN_OR_RETURN(const OpId ready,
                        transport.Receive({Worker(1), TestTag(1), absl::MakeSpan(out).first(4)}));
    RM_RETURN_IF_ERROR(transport.Wait(ready, Soon()));
    RM_ASSIGN_OR_RETURN(const OpId never,
                        transport.Receive({Worker(1), TestTag(3), absl::MakeSpan(out)}));
    kill(child, SIGKILL);
    const absl::Status status = transport.Wait(never, Soon());
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), "process 1 (worker/1)")) << status;
    transport.Receive({Worker(1), TestTag(2), absl::MakeSpan(out)}).status().IgnoreError();
    return absl::OkStatus();
  };
  Run(die, [](Fabric& fabric) -> absl::Status {
    Transport& transport = fabric.transport(Worker(1));
    RM_ASSIGN_OR_RETURN(Buffer memory, fabric.AllocateExchange(1 << 20));
    std::memset(memory.data(), 1, memory.size_bytes());
    const auto bytes = absl::MakeConstSpan(memory.data(), memory.size_bytes());
    RM_ASSIGN_OR_RETURN(const OpId unread, transport.Send({Worker(0), TestTag(2), bytes}));
    RM_RETURN_IF_ERROR(transport.Send({Worker(0), TestTag(1), bytes.first(4)}).status());
    // Nobody posts its receive for as long as this process lives.
    for (;;) transport.Wait(unread, MonotonicTime::InfiniteFuture()).IgnoreError(), pause();
  });
  EXPECT_TRUE(WIFSIGNALED(child_status_));
  EXPECT_EQ(EntriesOf("/dev/shm"), before);
}

// gRPC's threads do not outlive a fork, and "inproc" stays within a process.
std::vector<std::string> TransportsThatFork() {
  std::vector<std::string> names;
  for (const std::string& name : TransportsUnderTest()) {
    if (!absl::StrContains(name, "grpc") && name != "inproc") names.push_back(name);
  }
  return names;
}

INSTANTIATE_TEST_SUITE_P(All, Processes, testing::ValuesIn(TransportsThatFork()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace ringmaster
