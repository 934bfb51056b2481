// What follows when all processes of a run have ended with one that was lost.
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "experiments/program/run/attempts/restarts.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;

MonotonicTime At(double seconds) { return MonotonicTime(absl::Seconds(1000 + seconds)); }

// Of worker/1, noticed so long after all had joined, in a run that was in `step` as far as was
// known.
EndingLoss LossAfter(double seconds, int64_t step = 0) {
  EndingLoss ending;
  ending.process = 1;
  ending.loss.add_nodes("worker/1");
  ending.loss.set_how("signal 9 (Killed)");
  ending.loss.set_seconds(seconds);
  ending.loss.set_step(step);
  return ending;
}

RestartRules Rules(int32_t most) {
  RestartRules rules;
  rules.most = most;
  rules.workers = 4;
  rules.makes_checkpoints = true;
  return rules;
}

TEST(Restarts, ALossIsFollowedByOneUntilNoneIsLeft) {
  Restarts restarts(Rules(2));
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(restarts.are_left());
    EXPECT_TRUE(restarts.AttemptEnds(LossAfter(1), {At(0), At(0.1)}, {}));
    restarts.StartFrom(0);
  }
  EXPECT_FALSE(restarts.are_left());
  EXPECT_FALSE(restarts.AttemptEnds(LossAfter(1), {At(0), At(0.1)}, {}));
  EXPECT_EQ(restarts.losses().size(), 2u) << "the last one was not gone on after";
  const absl::Status status = restarts.StatusOf(absl::UnavailableError("worker/1: gone"));
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_EQ(status.message(),
            "worker/1: gone; it had been started again 2 of at most 2 times (limits.restarts)");
}

TEST(Restarts, WhatIsNoLossEndsTheRun) {
  Restarts restarts(Rules(2));
  EXPECT_FALSE(restarts.AttemptEnds(std::nullopt, {At(0), At(0.1)}, {}));
  EXPECT_TRUE(restarts.losses().empty());
  EXPECT_EQ(restarts.StatusOf(absl::InternalError("own")).message(), "own");
  EXPECT_FALSE(Restarts(Rules(0)).are_left()) << "with any other answer to a loss";
}

TEST(Restarts, TimesCountFromWhenAllHadJoinedAtFirstUntilAllAreInAStepAgain) {
  Restarts restarts(Rules(3));
  ASSERT_TRUE(restarts.AttemptEnds(LossAfter(5), {At(0), At(0.1)}, {}));
  restarts.StartFrom(0);
  // Lost before it was in a step.
  RunMoments unbegun;
  unbegun.formed = At(7);
  ASSERT_TRUE(restarts.AttemptEnds(LossAfter(0.5), unbegun, {}));
  restarts.StartFrom(0);
  ASSERT_FALSE(restarts.AttemptEnds(std::nullopt, {At(9), At(9.25)}, {}));
  ASSERT_EQ(restarts.losses().size(), 2u);
  EXPECT_DOUBLE_EQ(restarts.losses()[0].seconds(), 5);
  EXPECT_DOUBLE_EQ(restarts.losses()[0].recovery_seconds(), 4.25);
  EXPECT_DOUBLE_EQ(restarts.losses()[1].seconds(), 7.5);
  EXPECT_DOUBLE_EQ(restarts.losses()[1].recovery_seconds(), 1.75);
}

TEST(Restarts, AnAttemptThatNeverFormedHasNoMoments) {
  Restarts restarts(Rules(3));
  ASSERT_TRUE(restarts.AttemptEnds(LossAfter(5), {At(0), At(0.1)}, {}));
  restarts.StartFrom(0);
  EXPECT_FALSE(restarts.AttemptEnds(std::nullopt, {}, {}));
  EXPECT_DOUBLE_EQ(restarts.losses()[0].recovery_seconds(), 0);
}

TEST(Restarts, StepsThatHadBegunSinceTheCheckpointAreUndone) {
  Restarts restarts(Rules(3));
  // The coordinator had heard of step 45, and last words tell of 47.
  ASSERT_TRUE(restarts.AttemptEnds(LossAfter(5, 45), {At(0), At(0.1)}, {47, 4 * 47}));
  EXPECT_EQ(restarts.StartFrom(40),
            "lost worker/1 at step 47 (signal 9 (Killed)); starting again from step 40 (restart 1 "
            "of 3)");
  const Loss& loss = restarts.losses()[0];
  EXPECT_TRUE(loss.restarted());
  EXPECT_EQ(loss.resumed_step(), 40);
  EXPECT_EQ(loss.undone_steps(), 8) << "40 to 47";
  EXPECT_EQ(loss.lost_updates(), 0) << "updates that workers make together are steps";
}

TEST(Restarts, UpdatesThatServersMadeOnArrivalAreLost) {
  RestartRules rules = Rules(3);
  rules.claims = true;
  rules.steps_per_update = 1;
  Restarts restarts(rules);
  // One worker is ahead: 170 steps of all workers, and the checkpoint has 160.
  ASSERT_TRUE(restarts.AttemptEnds(LossAfter(5, 43), {At(0), At(0.1)}, {60, 170}));
  restarts.StartFrom(40);
  EXPECT_EQ(restarts.losses()[0].step(), 43) << "each of four lots";
  EXPECT_EQ(restarts.losses()[0].undone_steps(), 4);
  EXPECT_EQ(restarts.losses()[0].lost_updates(), 10);
  // Where a worker is lost it has not told: as many as all can have made.
  ASSERT_TRUE(restarts.AttemptEnds(LossAfter(5, 43), {At(0), At(0.1)}, {60, std::nullopt}));
  restarts.StartFrom(40);
  EXPECT_EQ(restarts.losses()[1].lost_updates(), 12);
}

TEST(Restarts, ThatBeginAnewSayWhy) {
  Restarts early(Rules(3));
  ASSERT_TRUE(early.AttemptEnds(LossAfter(5), {At(0), At(0.1)}, {7, 28}));
  EXPECT_THAT(early.StartFrom(0), HasSubstr("from the beginning, for there is no checkpoint yet"));
  EXPECT_EQ(early.losses()[0].undone_steps(), 8);
  RestartRules rules = Rules(3);
  rules.makes_checkpoints = false;
  Restarts without(rules);
  ASSERT_TRUE(without.AttemptEnds(LossAfter(5), {At(0), At(0.1)}, {}));
  EXPECT_THAT(without.StartFrom(0), AllOf(HasSubstr("no checkpoints are made (--checkpoint-every)"),
                                          EndsWith("(restart 1 of 3)")));
}

}  // namespace
}  // namespace ringmaster
