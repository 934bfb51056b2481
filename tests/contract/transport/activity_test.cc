// What every transport says of the waits of its threads.
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/contract/transport/fabric_group.h"
#include "tests/support/patience.h"

namespace ringmaster {
namespace {

class Activities : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    FabricOptions options;
    SetTransport(GetParam(), &options);
    auto group = JoinFabrics(options, {1, 1});
    ASSERT_TRUE(group.ok()) << group.status();
    group_ = *std::move(group);
  }

  // What worker/0 awaits once `count` messages are; whatever it awaits when the test's time is
  // over.
  std::vector<Activity::Awaited> AwaitWaits(size_t count) {
    Transport& transport = group_.worker(0);
    Activity activity;
    for (const auto end = Soon(); Soon() - end < Patience(30);) {
      activity = transport.activity(activity.moved);
      if (activity.awaited.size() == count) break;
      std::this_thread::yield();
    }
    return activity.awaited;
  }

  FabricGroup group_;
};
INSTANTIATE_TEST_SUITE_P(All, Activities, testing::ValuesIn(TransportsUnderTest()),
                         [](const testing::TestParamInfo<std::string>& info) {
                           return info.param;
                         });

TEST_P(Activities, AThreadThatWaitsIsSeenWithPeerAndTagUntilTheMessageIsThere) {
  Transport& transport = group_.worker(0);
  std::byte in[2][4] = {};
  std::vector<OpId> ops;
  for (int i : {0, 1}) {
    const auto op = transport.Receive({Worker(1), TestTag(7, i), absl::MakeSpan(in[i])});
    ASSERT_TRUE(op.ok()) << op.status();
    ops.push_back(*op);
  }
  EXPECT_TRUE(AwaitWaits(0).empty()) << "a posted receive is no wait";
  const int64_t before = transport.activity(0).moved;
  absl::Status waited;
  std::thread waiter([&] { waited = transport.WaitAny(ops, Soon()).status(); });
  const std::vector<Activity::Awaited> awaited = AwaitWaits(2);
  ASSERT_EQ(awaited.size(), 2u);
  for (int i : {0, 1}) {
    EXPECT_EQ(awaited[i].peer, Worker(1));
    EXPECT_EQ(awaited[i].tag, TestTag(7, i));
    EXPECT_FALSE(awaited[i].is_send);
  }
  EXPECT_TRUE(transport.activity(before - 1).awaited.empty())
      << "waits are told only where nothing has moved";
  const std::byte out[4] = {};
  const auto sent = group_.worker(1).Send({Worker(0), TestTag(7, 1), out});
  ASSERT_TRUE(sent.ok()) << sent.status();
  waiter.join();
  EXPECT_TRUE(waited.ok()) << waited;
  EXPECT_GT(transport.activity(0).moved, before) << "the wait that is over has moved nothing";
  EXPECT_TRUE(AwaitWaits(0).empty());
  EXPECT_TRUE(group_.worker(1).Wait(*sent, Soon()).ok());
}

}  // namespace
}  // namespace ringmaster
