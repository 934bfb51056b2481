// What holds whoever waits: one thread of a process, many, or none.
#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/contract/transport/fabric_group.h"

namespace ringmaster {
namespace {

using Bytes = std::vector<std::byte>;

class Waiters : public testing::TestWithParam<std::string> {
 protected:
  FabricGroup Join(const std::string& wait, const std::vector<int>& workers_by_process) {
    FabricOptions options;
    SetTransport(GetParam(), &options);
    options.credentials.token = "of this test";
    options.wait = wait;
    absl::StatusOr<FabricGroup> group = JoinFabrics(options, workers_by_process);
    EXPECT_TRUE(group.ok()) << group.status();
    return *std::move(group);
  }
};

// Turns a message round kTurns times between a thread of each, under tags of their own; every
// eighth is large.
absl::Status PlayPingPong(Transport& transport, NodeId peer, int32_t game, bool begins) {
  constexpr int kTurns = 200;
  constexpr int64_t kLarge = 300'000;
  Bytes in(kLarge), out(kLarge);
  for (int turn = 0; turn < kTurns; ++turn) {
    const size_t size = turn % 8 == 7 ? kLarge : 100;
    std::fill_n(in.begin(), size, static_cast<std::byte>(turn + game));
    auto post = transport.Receive({peer, TestTag(turn, game), absl::MakeSpan(out).first(size)});
    if (!post.ok()) return post.status();
    if (!begins) {
      if (absl::Status waited = transport.Wait(*post, Soon()); !waited.ok()) return waited;
    }
    auto send = transport.Send({peer, TestTag(turn, game), absl::MakeConstSpan(in).first(size)});
    if (!send.ok()) return send.status();
    if (absl::Status waited = transport.Wait(*send, Soon()); !waited.ok()) return waited;
    if (begins) {
      if (absl::Status waited = transport.Wait(*post, Soon()); !waited.ok()) return waited;
    }
    if (!std::equal(in.begin(), in.begin() + size, out.begin())) {
      return absl::DataLossError("a message came back with other bytes");
    }
  }
  return absl::OkStatus();
}

TEST_P(Waiters, MegabytesGetThroughWhileOneSideOnlyComputes) {
  constexpr int64_t kSize = 48 << 20;  // more than sockets hold
  for (const bool receiver_waits : {false, true}) {
    const Bytes in(kSize, std::byte{3});
    Bytes out(kSize);
    FabricGroup group = Join("sleep", {1, 1});
    const auto post = group.worker(1).Receive({Worker(0), TestTag(1), absl::MakeSpan(out)});
    const auto send = group.worker(0).Send({Worker(1), TestTag(1), in});
    ASSERT_TRUE(post.ok() && send.ok());
    // The other side does not wait before this one is through.
    const auto receive = [&] { return group.worker(1).Wait(*post, Soon()).ok(); };
    ASSERT_TRUE(!receiver_waits || receive());
    ASSERT_TRUE(group.worker(0).Wait(*send, Soon()).ok());
    ASSERT_TRUE(receiver_waits || receive());
    EXPECT_TRUE(in == out);
  }
}

TEST_P(Waiters, ManyThreadsOfAProcessWaitAtOnceAndEachGetsItsOwn) {
  for (const char* wait : {"sleep", "spin"}) {
    FabricGroup group = Join(wait, {2, 1, 1});
    // Two nodes and two threads a node in process 0, against one node each.
    struct Game {
      int32_t a;
      int32_t b;
    };
    const Game games[] = {{0, 2}, {0, 3}, {1, 2}, {1, 3}};
    std::vector<absl::Status> statuses(8);
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&, i] {
        statuses[2 * i] = PlayPingPong(group.worker(games[i].a), Worker(games[i].b), i, true);
      });
      threads.emplace_back([&, i] {
        statuses[2 * i + 1] = PlayPingPong(group.worker(games[i].b), Worker(games[i].a), i, false);
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (const absl::Status& status : statuses) EXPECT_TRUE(status.ok()) << wait << ": " << status;
  }
}

INSTANTIATE_TEST_SUITE_P(All, Waiters, testing::ValuesIn(TransportsUnderTest()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace ringmaster
