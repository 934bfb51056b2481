// Which waits of a run go on, under a clock of the test's own.
#include "common/control/wait_judge.h"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr absl::Duration kWait = absl::Seconds(30);

NodeName Worker(int32_t index) {
  NodeName name;
  name.set_index(index);
  return name;
}

NodeName Server(int32_t index) {
  NodeName name = Worker(index);
  name.set_server(true);
  return name;
}

AwaitedMessage Message(const NodeName& peer, AwaitedMessage::Kind kind, int64_t step) {
  AwaitedMessage message;
  *message.mutable_peer() = peer;
  message.set_kind(kind);
  message.set_step(step);
  return message;
}

NodeActivity Of(const NodeName& node, NodeActivity::State state, int64_t step,
                const std::string& phase, const std::vector<AwaitedMessage>& awaited = {}) {
  NodeActivity activity;
  *activity.mutable_node() = node;
  activity.set_state(state);
  activity.set_step(step);
  activity.set_phase(phase);
  for (const AwaitedMessage& message : awaited) *activity.add_awaited() = message;
  return activity;
}

NodeActivity Computing(int32_t rank, int64_t step = 0, const std::string& phase = "forward") {
  return Of(Worker(rank), NodeActivity::COMPUTES, step, phase);
}

NodeActivity Waiting(int32_t rank, const NodeName& peer, AwaitedMessage::Kind kind,
                     int64_t step = 0, const std::string& phase = "exchange") {
  return Of(Worker(rank), NodeActivity::WAITS, step, phase, {Message(peer, kind, step)});
}

NodeActivity Serving(int32_t index, const std::vector<AwaitedMessage>& awaited) {
  return Of(Server(index), NodeActivity::WAITS, 0, "serve", awaited);
}

// Nodes that all say the same every second.
class JudgedRun {
 public:
  JudgedRun(WaitLimits limits, int32_t workers, int32_t servers) : judge_(limits) {
    for (int32_t i = 0; i < workers; ++i) judge_.Add(Worker(i), 100 + i, now_);
    for (int32_t i = 0; i < servers; ++i) judge_.Add(Server(i), 200 + i, now_);
  }

  void Say(const NodeActivity& activity) {
    said_[activity.node().DebugString()] = activity;
    judge_.Heard(activity, now_);
  }
  // The first verdict that ends the run within `duration`, or OK.
  absl::Status Pass(absl::Duration duration) {
    for (const absl::Duration end = now_ + duration; now_ < end;) {
      now_ += absl::Seconds(1);
      for (const auto& [name, activity] : said_) judge_.Heard(activity, now_);
      const absl::Status judged = judge_.Judge();
      if (!judged.ok()) return judged;
    }
    return absl::OkStatus();
  }
  WaitJudge& judge() { return judge_; }
  absl::Duration now() const { return now_; }

 private:
  WaitJudge judge_;
  absl::Duration now_ = absl::Seconds(1000);
  std::map<std::string, NodeActivity> said_;
};

WaitLimits Limits(std::optional<absl::Duration> compute = std::nullopt, bool asynchronous = false) {
  return {kWait, compute, asynchronous};
}

std::string TextOf(const absl::Status& status) { return std::string(status.message()); }

TEST(WaitJudge, AWaitGoesOnWhileTheAwaitedRankComputesWithinTheDefaultLimitAndNoLonger) {
  JudgedRun run(Limits(), 2, 0);
  run.Say(Waiting(0, Worker(1), AwaitedMessage::COLLECTIVE));
  run.Say(Computing(1));
  EXPECT_TRUE(run.Pass(absl::Seconds(60)).ok());
  const absl::Status late = run.Pass(absl::Seconds(2));
  EXPECT_EQ(late.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(TextOf(late),
              AllOf(HasSubstr("worker/1 (pid 101) at step=0 phase=forward"),
                    HasSubstr("computes for 61.0s"), HasSubstr("while worker/0 waits for it;"),
                    HasSubstr("limits.compute_seconds, left out"),
                    HasSubstr("raise limits.compute_seconds to at least 600")));
}

TEST(WaitJudge, AChangeOfStepPhaseOrBucketBeginsTheComputeLimitAnew) {
  JudgedRun run(Limits(), 2, 0);
  run.Say(Waiting(0, Worker(1), AwaitedMessage::COLLECTIVE));
  NodeActivity slow = Computing(1, 0, "load");
  const std::vector<std::function<void()>> changes = {
      [] {}, [&] { slow.set_phase("backward"); }, [&] { slow.set_bucket(1); },
      [&] { slow.set_step(1); }, [&] { slow.set_moved(7); }};
  for (const auto& change : changes) {
    change();
    run.Say(slow);
    EXPECT_TRUE(run.Pass(absl::Seconds(55)).ok());
  }
  EXPECT_FALSE(run.Pass(absl::Seconds(10)).ok());
}

TEST(WaitJudge, TheDefaultIsTwentyTimesTheRanksOwnSlowestStep) {
  JudgedRun run(Limits(), 2, 0);
  run.Say(Waiting(0, Worker(1), AwaitedMessage::COLLECTIVE, 3));
  NodeActivity slow = Computing(1, 3);
  slow.set_slowest_step_seconds(10);
  run.Say(slow);
  EXPECT_TRUE(run.Pass(absl::Seconds(200)).ok());
  EXPECT_THAT(TextOf(run.Pass(absl::Seconds(2))),
              HasSubstr("20 times its slowest step so far, 10.0s"));
}

TEST(WaitJudge, TheFieldReplacesTheDefault) {
  JudgedRun run(Limits(absl::Seconds(40)), 2, 0);
  run.Say(Waiting(0, Worker(1), AwaitedMessage::COLLECTIVE));
  run.Say(Computing(1));
  EXPECT_TRUE(run.Pass(absl::Seconds(40)).ok());
  EXPECT_THAT(
      TextOf(run.Pass(absl::Seconds(2))),
      AllOf(HasSubstr("within 40.0s (limits.compute_seconds)"), HasSubstr("to at least 400")));
}

TEST(WaitJudge, NobodyIsTooSlowForWhomNobodyWaits) {
  JudgedRun run(Limits(absl::Seconds(1)), 2, 1);
  run.Say(Computing(0));
  run.Say(Computing(1));
  run.Say(Serving(0, {Message(Worker(0), AwaitedMessage::PUSH, 0),
                      Message(Worker(1), AwaitedMessage::PUSH, 0)}));
  EXPECT_TRUE(run.Pass(absl::Minutes(60)).ok());
}

TEST(WaitJudge, AServerIsFollowedToTheWorkerWhosePushIsMissing) {
  JudgedRun run(Limits(), 3, 1);
  run.Say(Waiting(0, Server(0), AwaitedMessage::WEIGHTS, 4));
  run.Say(Waiting(1, Server(0), AwaitedMessage::WEIGHTS, 4));
  run.Say(Computing(2, 4, "backward"));
  run.Say(Serving(
      0,
      {Message(Worker(0), AwaitedMessage::PUSH, 5), Message(Worker(1), AwaitedMessage::PUSH, 5),
       Message(Worker(2), AwaitedMessage::PUSH, 4), Message(Worker(2), AwaitedMessage::PULL, 0)}));
  EXPECT_TRUE(run.Pass(absl::Seconds(60)).ok());
  EXPECT_THAT(TextOf(run.Pass(absl::Seconds(2))),
              AllOf(HasSubstr("worker/2 (pid 102) at step=4 phase=backward"),
                    HasSubstr("while worker/0 waits for it by way of server/0")));
}

TEST(WaitJudge, AServerThatComputesIsGivenTheLimitOfARank) {
  JudgedRun run(Limits(), 1, 1);
  run.Say(Waiting(0, Server(0), AwaitedMessage::WEIGHTS));
  run.Say(Of(Server(0), NodeActivity::COMPUTES, 0, "serve"));
  EXPECT_TRUE(run.Pass(absl::Seconds(60)).ok());
  EXPECT_THAT(TextOf(run.Pass(absl::Seconds(2))), HasSubstr("server/0 (pid 200)"));
}

TEST(WaitJudge, AMessageThatIsLostEndsTheRunAfterTheWaitLimitAndTellsTheChain) {
  JudgedRun run(Limits(), 2, 0);
  run.Say(Waiting(0, Worker(1), AwaitedMessage::COLLECTIVE, 3));
  run.Say(Waiting(1, Worker(0), AwaitedMessage::COLLECTIVE, 3));
  EXPECT_TRUE(run.Pass(absl::Seconds(29)).ok());
  EXPECT_THAT(TextOf(run.Pass(absl::Seconds(2))),
              AllOf(HasSubstr("worker/0 (pid 100) at step=3 phase=exchange waits for worker/1 "
                              "(collective step=3 bucket=0) since 30.0s; worker/1"),
                    HasSubstr("within 30.0s (limits.wait_seconds)"),
                    HasSubstr("limits.wait_seconds to at least 300")));
}

TEST(WaitJudge, AWaitInWhichMessagesComeGoesOn) {
  JudgedRun run(Limits(), 2, 0);
  for (int moved = 0; moved < 5; ++moved) {
    for (const int32_t rank : {0, 1}) {
      NodeActivity waiting = Waiting(rank, Worker(1 - rank), AwaitedMessage::COLLECTIVE);
      waiting.set_moved(moved);
      run.Say(waiting);
    }
    EXPECT_TRUE(run.Pass(absl::Seconds(25)).ok());
  }
  EXPECT_FALSE(run.Pass(absl::Seconds(6)).ok());
}

TEST(WaitJudge, WeightsForWhichAllHavePushedAreLostHoweverBusyTheOthersAre) {
  JudgedRun run(Limits(), 2, 1);
  run.Say(Waiting(0, Server(0), AwaitedMessage::WEIGHTS, 4));
  run.Say(Computing(1, 5));
  run.Say(Serving(0, {Message(Worker(0), AwaitedMessage::PUSH, 5),
                      Message(Worker(1), AwaitedMessage::PUSH, 5)}));
  EXPECT_TRUE(run.Pass(absl::Seconds(29)).ok());
  EXPECT_THAT(
      TextOf(run.Pass(absl::Seconds(2))),
      AllOf(HasSubstr("worker/0"), HasSubstr("waits for nobody"),
            HasSubstr("; meanwhile worker/1 at step=5 phase=forward computes since 30.0s")));
}

TEST(WaitJudge, ATimeoutSaysWhatThoseDoWhomItIsNotAboutTheFirstOfMany) {
  constexpr int32_t kWorkers = 24;
  JudgedRun run(Limits(absl::Seconds(40)), kWorkers, 1);
  for (int32_t i = 0; i < kWorkers; ++i)
    run.Say(Waiting(i, Worker(23), AwaitedMessage::COLLECTIVE, 3));
  run.Say(Computing(23, 3, "backward"));
  run.Say(Serving(0, {}));
  const std::string text = TextOf(run.Pass(absl::Seconds(60)));
  EXPECT_THAT(text, HasSubstr("worker/23 (pid 123) at step=3 phase=backward bucket=0: computes"));
  EXPECT_THAT(text, HasSubstr("; meanwhile worker/0 at step=3 phase=exchange waits for worker/23 "
                              "(collective step=3 bucket=0) since 41.0s; worker/1 at "));
  EXPECT_THAT(text, HasSubstr("worker/15 at step=3"));
  EXPECT_THAT(text, Not(HasSubstr("worker/16 at")));
  EXPECT_THAT(text, HasSubstr("; and 8 more"));
}

TEST(WaitJudge, WhatTheLastRankSendsHasTheWholeWaitLimitToArrive) {
  for (const absl::Duration computes : {absl::Seconds(29), absl::Seconds(45)}) {
    JudgedRun run(Limits(), 2, 1);
    run.Say(Waiting(0, Server(0), AwaitedMessage::WEIGHTS, 4));
    run.Say(Computing(1, 4));
    run.Say(Serving(0, {Message(Worker(0), AwaitedMessage::PUSH, 5),
                        Message(Worker(1), AwaitedMessage::PUSH, 4)}));
    EXPECT_TRUE(run.Pass(computes).ok());
    // It pushes, and the weights are on their way.
    run.Say(Serving(0, {Message(Worker(0), AwaitedMessage::PUSH, 5),
                        Message(Worker(1), AwaitedMessage::PUSH, 5)}));
    run.Say(Computing(1, 5));
    EXPECT_TRUE(run.Pass(absl::Seconds(29)).ok()) << computes;
    EXPECT_THAT(TextOf(run.Pass(absl::Seconds(2))), HasSubstr("limits.wait_seconds")) << computes;
  }
}

TEST(WaitJudge, AnAsynchronousServerWaitsForNobodyButInADrain) {
  for (const bool drains : {false, true}) {
    JudgedRun run(Limits(std::nullopt, true), 2, 1);
    run.Say(Waiting(0, Server(0), AwaitedMessage::PULL, 2, drains ? "drain" : "gate"));
    run.Say(Computing(1, 2));
    run.Say(Serving(0, {Message(Worker(0), AwaitedMessage::PUSH, 3),
                        Message(Worker(1), AwaitedMessage::PUSH, 2)}));
    EXPECT_EQ(run.Pass(absl::Seconds(50)).ok(), drains);
  }
}

// Where work is claimed workers drain at unlike steps: the slowest may drain already while a fast
// one, far ahead of it, still computes.
TEST(WaitJudge, ADrainOfAnAsynchronousServerWaitsForThoseWhoDoNotDrainYet) {
  JudgedRun run(Limits(std::nullopt, true), 3, 1);
  for (const int32_t rank : {0, 1})
    run.Say(Waiting(rank, Server(0), AwaitedMessage::PULL, 2 + rank, "drain"));
  run.Say(Computing(2, 40));
  run.Say(Serving(
      0, {Message(Worker(0), AwaitedMessage::PUSH, 3), Message(Worker(1), AwaitedMessage::PUSH, 4),
          Message(Worker(2), AwaitedMessage::PUSH, 40)}));
  EXPECT_TRUE(run.Pass(absl::Seconds(50)).ok());
}

TEST(WaitJudge, ABarrierWaitsForThoseWhoHaveNotCome) {
  JudgedRun run(Limits(absl::Seconds(40)), 3, 1);
  run.Say(Of(Worker(0), NodeActivity::AT_BARRIER, 9, "evaluate"));
  run.Say(Of(Worker(1), NodeActivity::AT_BARRIER, 9, "evaluate"));
  run.Say(Computing(2, 9, "evaluate"));
  EXPECT_TRUE(run.Pass(absl::Seconds(40)).ok());
  EXPECT_THAT(TextOf(run.Pass(absl::Seconds(2))),
              HasSubstr("worker/2 (pid 102) at step=9 phase=evaluate"));
}

TEST(WaitJudge, ABarrierThatAllHaveComeToIsOver) {
  JudgedRun run(Limits(), 2, 0);
  for (const int32_t rank : {0, 1})
    run.Say(Of(Worker(rank), NodeActivity::AT_BARRIER, 9, "evaluate"));
  EXPECT_TRUE(run.Pass(absl::Minutes(5)).ok());
}

TEST(WaitJudge, TheEndOfTheRunIsAwaitedByThoseWhoAreDone) {
  JudgedRun run(Limits(absl::Seconds(40)), 2, 0);
  run.judge().Finished(Worker(0), run.now());
  run.Say(Computing(1, 9, "final loss"));
  run.Say(Of(Worker(0), NodeActivity::DONE, 9, "farewell"));
  EXPECT_TRUE(run.Pass(absl::Seconds(40)).ok());
  EXPECT_THAT(TextOf(run.Pass(absl::Seconds(2))),
              HasSubstr("worker/1 (pid 101) at step=9 phase=final loss"));
}

TEST(WaitJudge, ARankThatWasToldToStandStillIsWaitedFor) {
  JudgedRun run(Limits(absl::Seconds(1)), 2, 0);
  run.Say(Waiting(0, Worker(1), AwaitedMessage::COLLECTIVE));
  run.Say(Of(Worker(1), NodeActivity::PAUSED, 0, "exchange"));
  EXPECT_TRUE(run.Pass(absl::Minutes(60)).ok());
}

TEST(WaitJudge, OneThatSaysNothingIsNotJudgedHere) {
  JudgedRun run(Limits(), 2, 0);
  run.Say(Waiting(0, Worker(1), AwaitedMessage::COLLECTIVE));  // worker/1 has never been heard
  EXPECT_TRUE(run.Pass(absl::Minutes(5)).ok());
}

}  // namespace
}  // namespace ringmaster
