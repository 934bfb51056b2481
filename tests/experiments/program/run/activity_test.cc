#include "experiments/program/run/activity.h"

#include "gtest/gtest.h"

namespace ringmaster {
namespace {

Activity::Awaited From(NodeId peer, MessageKind kind, int64_t step, int32_t bucket = 0) {
  return {peer, {kind, 0, bucket, step}, false};
}

TEST(DescribeWorker, AStepThreadThatComputesIsComputingWhateverItsExchangeWaitsFor) {
  WorkerProgress progress;
  WorkerSight sight{3, &progress, {5, {From({Role::kServer, 1}, MessageKind::kWeights, 7)}}};
  for (const char* phase : {"load", "upload", "forward", "backward", "evaluate", "final loss"}) {
    progress.phase = phase;
    EXPECT_EQ(DescribeWorker(sight).state(), NodeActivity::COMPUTES) << phase;
  }
  for (const char* phase : {"start", "gate", "exchange", "drain", "farewell"}) {
    progress.phase = phase;
    const NodeActivity waiting = DescribeWorker(sight);
    EXPECT_EQ(waiting.state(), NodeActivity::WAITS) << phase;
    ASSERT_EQ(waiting.awaited_size(), 1);
    EXPECT_TRUE(waiting.awaited(0).peer().server());
    EXPECT_EQ(waiting.awaited(0).peer().index(), 1);
    EXPECT_EQ(waiting.awaited(0).kind(), AwaitedMessage::WEIGHTS);
    EXPECT_EQ(waiting.awaited(0).step(), 7);
  }
  sight.exchange.awaited.clear();
  progress.phase = "exchange";
  EXPECT_EQ(DescribeWorker(sight).state(), NodeActivity::COMPUTES)
      << "its exchange encodes or updates";
}

TEST(DescribeWorker, BarriersPausesAndTheEndAreStates) {
  WorkerProgress progress;
  progress.phase = "evaluate";
  const WorkerSight sight{0, &progress};
  progress.at_barrier = true;
  EXPECT_EQ(DescribeWorker(sight).state(), NodeActivity::AT_BARRIER);
  progress.paused = true;
  EXPECT_EQ(DescribeWorker(sight).state(), NodeActivity::PAUSED);
  progress.done = true;
  EXPECT_EQ(DescribeWorker(sight).state(), NodeActivity::DONE);
}

TEST(DescribeWorker, WhoAwaitsLotsWaitsForItsOwnExchangeFirst) {
  WorkerProgress progress;
  progress.phase = "load";
  progress.awaits_lots = true;
  WorkerSight sight{3, &progress, {5, {From({Role::kServer, 1}, MessageKind::kWeights, 7)}}};
  EXPECT_EQ(DescribeWorker(sight).state(), NodeActivity::WAITS);
  // What makes batches ahead asks for it, and the step goes on.
  progress.phase = "forward";
  EXPECT_EQ(DescribeWorker(sight).state(), NodeActivity::PAUSED);
  progress.phase = "load";
  sight.exchange.awaited.clear();
  EXPECT_EQ(DescribeWorker(sight).state(), NodeActivity::PAUSED);
}

TEST(DescribeWorker, WhatMovesIsTheStepThreadAndTheExchange) {
  WorkerProgress progress;
  WorkerSight sight{0, &progress, {5, {}}};
  const int64_t before = DescribeWorker(sight).moved();
  ++progress.work;
  EXPECT_EQ(DescribeWorker(sight).moved(), before + 1);
  ++sight.exchange.moved;
  EXPECT_EQ(DescribeWorker(sight).moved(), before + 2);
}

TEST(DescribeWorker, ACallOfALibraryWaitsForAllOtherRanks) {
  WorkerProgress progress;
  progress.phase = "exchange";
  progress.step = 4;
  const WorkerSight sight{1, &progress, {}, 3};
  const NodeActivity waiting = DescribeWorker(sight);
  EXPECT_EQ(waiting.state(), NodeActivity::WAITS);
  ASSERT_EQ(waiting.awaited_size(), 2);
  EXPECT_EQ(waiting.awaited(0).peer().index(), 0);
  EXPECT_EQ(waiting.awaited(1).peer().index(), 2);
  EXPECT_EQ(waiting.awaited(1).step(), 4);
  progress.phase = "forward";
  EXPECT_EQ(DescribeWorker(sight).state(), NodeActivity::COMPUTES);
}

TEST(DescribeServer, TellsOfEachWorkersMessagesTheLeastStep) {
  Activity exchange;
  for (const int64_t step : {9, 8, 10}) {
    exchange.awaited.push_back(
        From({Role::kWorker, 1}, MessageKind::kPush, step, static_cast<int32_t>(step)));
  }
  exchange.awaited.push_back(From({Role::kWorker, 1}, MessageKind::kPull, 3));
  const NodeActivity waiting = DescribeServer(2, false, exchange);
  EXPECT_TRUE(waiting.node().server());
  EXPECT_EQ(waiting.node().index(), 2);
  EXPECT_EQ(waiting.state(), NodeActivity::WAITS);
  ASSERT_EQ(waiting.awaited_size(), 2);
  EXPECT_EQ(waiting.awaited(0).kind(), AwaitedMessage::PUSH);
  EXPECT_EQ(waiting.awaited(0).step(), 8);
  EXPECT_EQ(waiting.awaited(0).bucket(), 8);
  EXPECT_EQ(waiting.awaited(1).kind(), AwaitedMessage::PULL);
  EXPECT_EQ(DescribeServer(2, false, {}).state(), NodeActivity::COMPUTES);
  EXPECT_EQ(DescribeServer(2, true, exchange).state(), NodeActivity::DONE);
}

}  // namespace
}  // namespace ringmaster
