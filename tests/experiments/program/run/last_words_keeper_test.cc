#include "experiments/program/run/last_words_keeper.h"

#include <thread>
#include <vector>

#include "common/control/last_words.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

// Worker 0 and server 0 of one process.
class Keeper : public testing::Test {
 protected:
  Keeper() {
    keeper_.AddWorker(0, worker_);
    keeper_.AddServer(0, server_);
    const Clock::time_point now = Clock::now();
    worker_.step.AddSpan("forward", 6, -1, now - std::chrono::seconds(2),
                         now - std::chrono::seconds(1));
    server_.shard.AddSpan("push", 6, 0, now - std::chrono::seconds(2),
                          now - std::chrono::seconds(1));
  }

  std::vector<NodeActivity> Activities() {
    ++asked_;
    std::vector<NodeActivity> activities(2);
    activities[0].set_step(7);
    activities[0].set_phase("exchange");
    activities[1].mutable_node()->set_server(true);
    return activities;
  }

  int asked_ = 0;
  WorkerTraces worker_{0, {0, 0}};
  ServerTraces server_{0, 2, {0, 0}};
  LastWordsKeeper keeper_{[this] { return Activities(); }};
};

TEST_F(Keeper, TellsWhatWasTakenFirstAndWhatTheServerHadParkedWhenItEnded) {
  keeper_.Take();
  keeper_.Take();
  // What happens after the failure does not count.
  worker_.step.AddSpan("update", 7, -1, Clock::now(), Clock::now() + std::chrono::seconds(1));
  std::thread server([this] { keeper_.ServerEnds(0, "worker/1 at clock 2"); });
  const LastWords words = keeper_.Tell(absl::Seconds(60));
  server.join();
  EXPECT_EQ(asked_, 1);
  ASSERT_EQ(words.nodes_size(), 2);
  EXPECT_EQ(words.nodes(0).activity().step(), 7);
  ASSERT_EQ(words.nodes(0).threads_size(), 1);
  ASSERT_EQ(words.nodes(0).threads(0).spans_size(), 2);
  EXPECT_EQ(words.nodes(0).threads(0).spans(0).phase(), "forward");
  EXPECT_EQ(words.nodes(0).threads(0).spans(1).phase(), "exchange") << "the phase that is open";
  EXPECT_GE(words.nodes(0).since_seconds(), 1);
  EXPECT_EQ(words.nodes(0).parked(), "");
  EXPECT_EQ(words.nodes(1).parked(), "worker/1 at clock 2");
  EXPECT_EQ(words.nodes(1).threads(0).spans(0).phase(), "push");
  EXPECT_NE(words.clock().name(), "");
}

TEST_F(Keeper, DoesNotWaitForAServerBeyondTheLimitAndKeepsToWhatMayBeSaid) {
  const LastWords early = keeper_.Tell(absl::Milliseconds(1));
  EXPECT_EQ(early.nodes(1).parked(), "");
  keeper_.ServerEnds(0, std::string(100'000, 'p'));
  Join join;
  join.add_nodes()->set_index(0);
  join.add_nodes()->set_server(true);
  const LastWords words = keeper_.Tell(absl::Seconds(60));
  EXPECT_NE(words.nodes(1).parked(), "");
  const absl::Status fits = CheckLastWords(words, join);
  EXPECT_TRUE(fits.ok()) << fits;
}

}  // namespace
}  // namespace ringmaster
