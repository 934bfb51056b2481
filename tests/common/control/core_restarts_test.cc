// What is known of a loss that ends a run which is to be started again.
#include <string>

#include "common/control/control_core.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/common/control/core_run.h"

namespace ringmaster {
namespace {

using ::testing::HasSubstr;

ControlRules RestartingRules(int32_t processes) {
  ControlRules rules = RulesOf(processes);
  rules.losses.then = AfterLoss::kRestart;
  return rules;
}

TEST(CoreRestarts, AProcessThatDiesEndsTheRunForAllAndIsKnown) {
  FormedRun run(RestartingRules(3));
  run.Pass(absl::Seconds(2));
  for (int32_t i = 0; i < 3; ++i) run.Arrive(i, "start");
  const MonotonicTime begun = run.now();
  for (int32_t i = 0; i < 3; ++i) run.Beat(i, 7 + i, "backward");
  run.Fail(0, absl::UnavailableError("the connection to worker/1 broke"));
  run.NoteEnd(1, "signal 9 (Killed)");
  EXPECT_THAT(std::string(run.failure().message()), HasSubstr("worker/1"));
  for (const int32_t i : {0, 2}) EXPECT_EQ(run.Ends(i), 1);
  ASSERT_TRUE(run.core().ending_loss().has_value());
  EXPECT_EQ(run.core().ending_loss()->process, 1);
  const Loss& loss = run.core().ending_loss()->loss;
  ASSERT_EQ(loss.nodes_size(), 1);
  EXPECT_EQ(loss.nodes(0), "worker/1");
  EXPECT_EQ(loss.how(), "signal 9 (Killed)");
  EXPECT_EQ(loss.step(), 9);
  EXPECT_DOUBLE_EQ(loss.seconds(), 2);
  EXPECT_EQ(run.core().moments().begun, begun);
  EXPECT_TRUE(run.core().Losses().empty()) << "nobody went on";
  // What others come to when they end is no loss of its own.
  run.NoteEnd(2, "exit code 1");
  EXPECT_EQ(run.core().ending_loss()->process, 1);
}

TEST(CoreRestarts, ASilentProcessIsLost) {
  FormedRun run(RestartingRules(2));
  run.witness.suspended.insert(1001);
  for (int second = 0; second < 4; ++second) {
    run.Beat(0, second, "exchange");
    run.Pass(absl::Seconds(1));
  }
  ASSERT_TRUE(run.core().ending_loss().has_value());
  EXPECT_EQ(run.core().ending_loss()->process, 1);
  EXPECT_THAT(run.core().ending_loss()->loss.how(), HasSubstr("suspended"));
}

TEST(CoreRestarts, AConnectionThatBreaksWhileNobodyDiesIsALossOfWhoReportsIt) {
  FormedRun run(RestartingRules(3));
  run.Fail(2, absl::UnavailableError("worker/2 step=4: the connection to worker/0 broke"));
  run.Fail(0, absl::CancelledError("aborted"));
  run.Pass(absl::Seconds(1));
  ASSERT_TRUE(run.core().ending_loss().has_value());
  EXPECT_EQ(run.core().ending_loss()->process, 2);
  EXPECT_EQ(run.core().ending_loss()->loss.how(),
            "worker/2 step=4: the connection to worker/0 broke");
}

TEST(CoreRestarts, OfClaimedWorkTheStepIsThatOfTheLotsThatWereDealt) {
  ControlRules rules = RestartingRules(2);
  rules.claims.end = 100;
  rules.claims.ranks = 2;
  FormedRun run(rules);
  for (int32_t i = 0; i < 2; ++i) run.AskForLots(i);
  run.AskForLots(0, 0, 5);
  run.Beat(0, 6);
  run.NoteEnd(1, "signal 9 (Killed)");
  ASSERT_TRUE(run.core().ending_loss().has_value());
  EXPECT_EQ(run.core().ending_loss()->loss.step(), 3) << "seven lots, two of each step";
}

TEST(CoreRestarts, WhatIsNoLossIsNone) {
  {
    FormedRun run(RestartingRules(2));
    run.Fail(1, absl::FailedPreconditionError("the loss of step 3 is not a number"));
    EXPECT_FALSE(run.core().ending_loss().has_value()) << "an error that a rank has of its own";
    EXPECT_FALSE(run.failure().ok());
    run.NoteEnd(1, "exit code 1");
    EXPECT_FALSE(run.core().ending_loss().has_value());
  }
  {
    FormedRun run(RestartingRules(2));
    run.Fail(1, absl::AbortedError("worker/1: ended by SIGTERM"));
    EXPECT_FALSE(run.core().ending_loss().has_value()) << "somebody wants it to end";
  }
  {
    FormedRun run(RestartingRules(2));
    run.Abort(absl::CancelledError("interrupted"));
    run.NoteEnd(1, "signal 9 (Killed)");
    EXPECT_FALSE(run.core().ending_loss().has_value()) << "the user has ended it";
  }
  {
    CoreRun run(RestartingRules(2));
    ASSERT_TRUE(run.Join(0).ok());
    run.NoteEnd(1, "exit code 2");
    EXPECT_FALSE(run.failure().ok());
    EXPECT_FALSE(run.core().ending_loss().has_value()) << "it has never joined";
  }
  {
    FormedRun run(2);
    run.NoteEnd(1, "signal 9 (Killed)");
    EXPECT_FALSE(run.failure().ok());
    EXPECT_FALSE(run.core().ending_loss().has_value()) << "with ABORT nobody asks";
  }
  {
    FormedRun run(RestartingRules(2));
    run.Finish(0);
    run.Finish(1);
    run.NoteEnd(1, "exit code 0");
    EXPECT_TRUE(run.failure().ok());
    EXPECT_FALSE(run.core().ending_loss().has_value());
  }
}

}  // namespace
}  // namespace ringmaster
