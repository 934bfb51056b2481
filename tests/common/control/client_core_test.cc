// What a process makes of the coordinator's messages.
#include "common/control/client_core.h"

#include <string>

#include "common/control/failures.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

const absl::Status kLost = absl::UnavailableError("the coordinator is gone");
const absl::Status kWhy = absl::InternalError("why");

ToProcess Admitted() {
  ToProcess message;
  message.mutable_admitted();
  return message;
}

ToProcess Goodbye() {
  ToProcess message;
  message.mutable_goodbye();
  return message;
}

ToProcess Release(const std::string& barrier) {
  ToProcess message;
  message.mutable_release()->set_barrier(barrier);
  return message;
}

ToProcess Abort(const absl::Status& why) {
  ToProcess message;
  *message.mutable_abort() = FailureOf(why);
  return message;
}

TEST(ClientCore, LotsAreKeptByRankUntilTheyAreTaken) {
  ClientCore core;
  EXPECT_FALSE(core.TakeLots(3).has_value());
  ToProcess message;
  message.mutable_lots()->set_rank(3);
  message.mutable_lots()->set_first(40);
  message.mutable_lots()->set_count(2);
  EXPECT_TRUE(core.OnMessage(message).ok());
  EXPECT_FALSE(core.TakeLots(2).has_value());
  const std::optional<LotClaim> claim = core.TakeLots(3);
  ASSERT_TRUE(claim.has_value());
  EXPECT_EQ(claim->first, 40);
  EXPECT_EQ(claim->count, 2);
  EXPECT_FALSE(core.TakeLots(3).has_value());
  core.ForgetLots(3);
  ASSERT_TRUE(core.TakeLots(3).has_value());
  EXPECT_EQ(core.TakeLots(3)->count, 0);
}

TEST(ClientCore, WhoHangsUpBeforeLettingAProcessInIsAskedAgainAndIsNoLostCoordinator) {
  ClientCore core;
  EXPECT_TRUE(core.OnStreamEnd(kLost).ok());
  EXPECT_TRUE(core.hung_up());
  EXPECT_TRUE(core.status().ok());
  core.OnRetry();
  EXPECT_FALSE(core.hung_up());
  EXPECT_TRUE(core.OnMessage(Admitted()).ok());
  EXPECT_TRUE(core.admitted());
  EXPECT_FALSE(core.welcomed());
  ToProcess welcome;
  welcome.mutable_welcome()->add_processes();
  EXPECT_TRUE(core.OnMessage(welcome).ok());
  EXPECT_TRUE(core.welcomed());
  EXPECT_EQ(core.welcome().processes_size(), 1);
}

TEST(ClientCore, ARefusalIsTheProcessesStatus) {
  ClientCore core;
  EXPECT_EQ(core.OnMessage(Abort(kWhy)), kWhy);
  EXPECT_TRUE(core.OnStreamEnd(kLost).ok());
  EXPECT_EQ(core.status(), kWhy);
  EXPECT_FALSE(core.admitted());
}

TEST(ClientCore, ACoordinatorThatIsGoneIsTheFailureUnlessTheRunHasEndedOrTheProcessLeaves) {
  for (const std::string before : {"nothing", "goodbye", "close", "abort"}) {
    SCOPED_TRACE(before);
    ClientCore core;
    core.OnMessage(Admitted()).IgnoreError();
    if (before == "goodbye") {
      EXPECT_TRUE(core.OnMessage(Goodbye()).ok());
    }
    if (before == "close") core.OnClose();
    if (before == "abort") {
      EXPECT_EQ(core.OnMessage(Abort(kWhy)), kWhy);
    }
    EXPECT_EQ(core.OnStreamEnd(kLost), before == "nothing" ? kLost : absl::OkStatus());
    EXPECT_EQ(core.status(), before == "nothing" ? kLost
                             : before == "abort" ? kWhy
                                                 : absl::OkStatus());
    EXPECT_EQ(core.goodbye(), before == "goodbye");
  }
}

TEST(ClientCore, TheFirstEndCountsAndIsToldOnce) {
  ClientCore failed;
  EXPECT_EQ(failed.OnMessage(Abort(kWhy)), kWhy);
  EXPECT_TRUE(failed.OnMessage(Abort(absl::UnknownError("another"))).ok());
  EXPECT_TRUE(failed.OnMessage(Goodbye()).ok());
  EXPECT_EQ(failed.status(), kWhy);
  EXPECT_FALSE(failed.goodbye());

  ClientCore done;
  EXPECT_TRUE(done.OnMessage(Goodbye()).ok());
  EXPECT_TRUE(done.OnMessage(Abort(kWhy)).ok());
  EXPECT_TRUE(done.status().ok());
  EXPECT_TRUE(done.goodbye());
}

TEST(ClientCore, ALossEndsWhatItWaitsForUntilItIsWelcomedToTheFormationThatFollows) {
  ClientCore core;
  ToProcess welcome;
  welcome.mutable_welcome()->add_processes();
  EXPECT_TRUE(core.OnMessage(welcome).ok());
  EXPECT_TRUE(core.OnMessage(Release("a")).ok());
  EXPECT_FALSE(core.regroups());
  ToProcess regroup;
  regroup.mutable_regroup()->set_epoch(2);
  *regroup.mutable_regroup()->mutable_why() = FailureOf(kWhy);
  EXPECT_TRUE(core.OnMessage(regroup).ok()) << "it is no failure";
  EXPECT_TRUE(core.regroups());
  EXPECT_EQ(core.why_it_regroups(), kWhy);
  EXPECT_FALSE(core.IsReleased("a")) << "of the formation before";
  welcome.mutable_welcome()->set_epoch(1);
  EXPECT_TRUE(core.OnMessage(welcome).ok());
  EXPECT_TRUE(core.regroups()) << "that was overtaken by another loss";
  welcome.mutable_welcome()->set_epoch(2);
  EXPECT_TRUE(core.OnMessage(welcome).ok());
  EXPECT_FALSE(core.regroups());
  EXPECT_EQ(core.epoch(), 2);
  EXPECT_TRUE(core.status().ok());
}

TEST(ClientCore, WhoWasWelcomedBelongsToTheFormationEvenIfALossFollowsAtOnce) {
  ClientCore core;
  ToProcess regroup, welcome;
  regroup.mutable_regroup()->set_epoch(1);
  *regroup.mutable_regroup()->mutable_why() = FailureOf(kWhy);
  EXPECT_TRUE(core.OnMessage(regroup).ok());
  EXPECT_EQ(core.BelongsTo(1), std::nullopt) << "it is to be formed";
  // The process's thread wakes after both of these.
  welcome.mutable_welcome()->set_epoch(1);
  EXPECT_TRUE(core.OnMessage(welcome).ok());
  regroup.mutable_regroup()->set_epoch(2);
  EXPECT_TRUE(core.OnMessage(regroup).ok());
  EXPECT_EQ(core.BelongsTo(1), true) << "its nodes have new names there, which the next one has";
  EXPECT_EQ(core.BelongsTo(2), std::nullopt);
  regroup.mutable_regroup()->set_epoch(3);
  EXPECT_TRUE(core.OnMessage(regroup).ok());
  EXPECT_EQ(core.BelongsTo(2), false) << "that was overtaken by another loss";
}

TEST(ClientCore, AReleaseIsForOnePassOfItsBarrier) {
  ClientCore core;
  EXPECT_TRUE(core.OnMessage(Release("a")).ok());
  EXPECT_TRUE(core.IsReleased("a"));
  EXPECT_FALSE(core.IsReleased("b"));
  core.Pass("a");
  EXPECT_FALSE(core.IsReleased("a"));
}

}  // namespace
}  // namespace ringmaster
