// What becomes of a run when a process of it is lost and the others form a group anew or go on.
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/control/control_core.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/common/control/core_run.h"

namespace ringmaster {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr absl::Duration kMoment = absl::Nanoseconds(1);

ControlRules ReformingRules(int32_t processes) {
  ControlRules rules = RulesOf(processes);
  rules.losses.then = AfterLoss::kReform;
  rules.losses.reform_limit = absl::Seconds(20);
  return rules;
}

// Process `lost` has been killed, and the coordinator has seen it.
void Kill(int32_t lost, CoreRun* run) {
  run->witness.ended[1000 + lost] = "signal 9 (Killed)";
  run->Leave(lost);
  run->Pass(kMoment);
}

std::vector<std::string> NamesIn(const ToProcess& message) {
  std::vector<std::string> names;
  for (const ProcessEntry& entry : message.welcome().processes()) {
    for (int i = 0; i < entry.nodes_size(); ++i) {
      names.push_back(absl::StrCat(entry.nodes_before(i).server() ? "server/" : "worker/",
                                   entry.nodes_before(i).index(), " becomes ",
                                   entry.nodes(i).index(), " at ", entry.data_endpoint()));
    }
  }
  return names;
}

TEST(CoreLosses, ThoseLeftAreWelcomedToTheNewestStepThatAllHaveAndNumberedAnew) {
  FormedRun run(ReformingRules(4));
  run.Pass(absl::Seconds(2));
  for (int32_t i = 0; i < 4; ++i) run.Beat(i, 7, "backward");
  Kill(1, &run);
  for (const int32_t i : {0, 2, 3}) {
    ASSERT_TRUE(run.heard(i).back().has_regroup()) << i;
    EXPECT_EQ(run.heard(i).back().regroup().epoch(), 1);
    EXPECT_TRUE(absl::StrContains(run.heard(i).back().regroup().why().message(), "worker/1"));
  }
  run.GetReady(0, 1, {6, 7});
  run.GetReady(3, 1, {7, 8});
  EXPECT_EQ(run.Count(0, ToProcess::kWelcome), 1) << "not all are ready";
  run.GetReady(2, 1, {6, 7});
  for (const int32_t i : {0, 2, 3}) {
    const ToProcess& last = run.heard(i).back();
    ASSERT_TRUE(last.has_welcome()) << i;
    EXPECT_EQ(last.welcome().epoch(), 1);
    EXPECT_EQ(last.welcome().step(), 7);
    EXPECT_EQ(NamesIn(last), (std::vector<std::string>{
                                 "worker/0 becomes 0 at 127.0.0.1:4100",
                                 "worker/2 becomes 1 at 127.0.0.1:4102",
                                 "worker/3 becomes 2 at 127.0.0.1:4103",
                             }));
  }
  EXPECT_EQ(run.core().Processes()[3].nodes, "worker/2");
  EXPECT_TRUE(run.core().Processes()[1].lost);
  EXPECT_EQ(run.Count(1, ToProcess::kWelcome), 1) << "the lost one";

  run.Pass(absl::Seconds(1));
  for (const int32_t i : {0, 2, 3}) run.Arrive(i, "start");
  EXPECT_EQ(run.Count(3, ToProcess::kRelease), 1);
  for (const int32_t i : {0, 2, 3}) run.Finish(i);
  ASSERT_TRUE(run.core().is_over());
  EXPECT_TRUE(run.failure().ok());
  ASSERT_EQ(run.core().Result()->size(), 3u);
  EXPECT_TRUE(run.heard(0).back().has_goodbye());
  ASSERT_EQ(run.core().Losses().size(), 1u);
  const Loss loss = run.core().Losses()[0];
  EXPECT_EQ(loss.nodes(0), "worker/1");
  EXPECT_EQ(loss.how(), "signal 9 (Killed)");
  EXPECT_TRUE(loss.reformed());
  EXPECT_EQ(loss.step(), 8);
  EXPECT_EQ(loss.resumed_step(), 7);
  EXPECT_EQ(loss.undone_steps(), 2);
  EXPECT_DOUBLE_EQ(loss.seconds(), 2);
  EXPECT_NEAR(loss.recovery_seconds(), 1, 1e-6);
}

TEST(CoreLosses, WhoListensEverywhereIsReachedAnewWhereItWasReachedBefore) {
  CoreRun run(ReformingRules(3));
  run.witness.reached_at = "10.0.0.7";
  for (const int32_t i : {0, 1, 2}) {
    Join join = JoinOf(i, 3);
    join.set_data_endpoint(absl::StrCat("0.0.0.0:", 4000 + i));
    ASSERT_TRUE(run.Join(join).ok());
  }
  Kill(1, &run);
  for (const int32_t i : {0, 2}) {
    FromProcess message;
    message.mutable_ready()->set_epoch(1);
    message.mutable_ready()->set_data_endpoint(absl::StrCat("0.0.0.0:", 5000 + i));
    message.mutable_ready()->add_steps(3);
    run.Say(i, message);
  }
  EXPECT_EQ(NamesIn(run.heard(0).back()),
            (std::vector<std::string>{"worker/0 becomes 0 at 10.0.0.7:5000",
                                      "worker/2 becomes 1 at 10.0.0.7:5002"}));
}

TEST(CoreLosses, WhatIsReportedUntilAllAreReadyIsAConsequenceButOtherFailuresEndTheRun) {
  FormedRun run(ReformingRules(3));
  run.Fail(0, absl::UnavailableError("the connection to worker/2 broke"));
  Kill(2, &run);
  run.Fail(1, absl::CancelledError("aborted"));
  run.Arrive(1, "a");
  run.Finish(1);
  run.Pass(absl::Seconds(2));
  EXPECT_TRUE(run.failure().ok());
  run.Beat(0);
  run.Beat(1);
  run.GetReady(0, 1, {3});
  run.GetReady(1, 1, {3});
  EXPECT_TRUE(run.heard(1).back().has_welcome());
  run.Arrive(0, "a");
  EXPECT_EQ(run.Count(0, ToProcess::kRelease), 0) << "an arrival of the formation before counts";

  FormedRun other(ReformingRules(3));
  Kill(2, &other);
  other.Fail(1, absl::InternalError("a bug"));
  EXPECT_EQ(other.failure(), absl::InternalError("a bug"));
}

TEST(CoreLosses, ALossWhileOthersGetReadyBeginsAnew) {
  FormedRun run(ReformingRules(4));
  Kill(3, &run);
  run.GetReady(0, 1, {4, 5});
  run.GetReady(1, 1, {4, 5});
  Kill(1, &run);
  run.GetReady(2, 1, {4, 5});  // on its way when the second loss was seen
  EXPECT_EQ(run.Count(0, ToProcess::kWelcome), 1);
  EXPECT_EQ(run.heard(0).back().regroup().epoch(), 2);
  run.GetReady(0, 2, {4, 5});
  run.GetReady(2, 2, {5});
  ASSERT_TRUE(run.heard(2).back().has_welcome());
  EXPECT_EQ(run.heard(2).back().welcome().epoch(), 2);
  EXPECT_EQ(run.heard(2).back().welcome().processes_size(), 2);
  run.Arrive(0, "start");
  run.Arrive(2, "start");
  // And another, of the new formation.
  run.witness.ended[1002] = "exit code 1";
  run.Leave(2);
  run.Pass(kMoment);
  run.GetReady(0, 3, {6});
  ASSERT_TRUE(run.heard(0).back().has_welcome());
  ASSERT_EQ(run.core().Losses().size(), 3u);
  EXPECT_EQ(run.core().Losses()[2].nodes(0), "worker/2") << "by its first name";
}

TEST(CoreLosses, WhoSaysNothingAnyMoreIsOutAndHearsThatItsRunIsOver) {
  FormedRun run(ReformingRules(3));
  run.witness.suspended.insert(1001);
  for (int second = 0; second < 4; ++second) {
    run.Pass(absl::Seconds(1));
    for (const int32_t i : {0, 2}) run.Beat(i, 5, "exchange");
  }
  ASSERT_TRUE(run.heard(0).back().has_regroup());
  ASSERT_TRUE(run.heard(1).back().has_abort());
  EXPECT_TRUE(absl::StrContains(run.heard(1).back().abort().message(), "suspended"));
  // It goes on, and is not heard.
  run.Beat(1, 6, "exchange");
  run.GetReady(1, 1, {5});
  run.Fail(1, absl::InternalError("late"));
  run.GetReady(0, 1, {5});
  run.GetReady(2, 1, {5});
  EXPECT_TRUE(run.heard(2).back().has_welcome());
  run.Finish(0);
  run.Finish(2);
  EXPECT_TRUE(run.core().is_over());
  EXPECT_TRUE(run.failure().ok());
  EXPECT_EQ(run.Ends(1), 1);
}

TEST(CoreLosses, WhoHadFinishedComesBackAndWhoHadGoneIsLostToo) {
  FormedRun run(ReformingRules(4));
  run.Finish(0);
  run.Finish(3);
  run.Leave(3);
  Kill(1, &run);
  EXPECT_TRUE(run.heard(0).back().has_regroup());
  run.GetReady(0, 1, {9});
  run.GetReady(2, 1, {9});
  EXPECT_EQ(run.Count(0, ToProcess::kWelcome), 1) << "what became of process 3 is not known yet";
  run.Pass(absl::Seconds(1));
  EXPECT_EQ(run.core().Losses().size(), 2u);
  run.GetReady(0, 2, {9});
  run.GetReady(2, 2, {9});
  ASSERT_TRUE(run.heard(0).back().has_welcome());
  run.Finish(0);
  EXPECT_FALSE(run.core().is_over());
  run.Finish(2);
  EXPECT_TRUE(run.core().is_over());
  EXPECT_EQ(run.core().Result()->size(), 2u);
}

TEST(CoreLosses, WhoHadFinishedAndHasGoneIsWhatOthersMissWhicheverIsHeardFirst) {
  for (const bool reforms : {false, true}) {
    for (const bool others_first : {false, true}) {
      SCOPED_TRACE(absl::StrCat(reforms, others_first));
      FormedRun run(reforms ? ReformingRules(3) : RulesOf(3));
      run.Finish(1);
      if (!others_first) Kill(1, &run);
      EXPECT_FALSE(run.core().is_over()) << "nobody misses it";
      run.Fail(0, absl::UnavailableError("worker/0: the connection to worker/1 is lost"));
      if (others_first) Kill(1, &run);
      run.Pass(absl::Seconds(1));
      if (reforms) {
        ASSERT_EQ(run.core().Losses().size(), 1u);
        EXPECT_THAT(run.core().Losses()[0].nodes(), ElementsAre("worker/1"));
        EXPECT_EQ(run.Count(0, ToProcess::kRegroup), 1);
        EXPECT_FALSE(run.core().is_over());
      } else {
        EXPECT_THAT(std::string(run.failure().message()),
                    HasSubstr("the process ended before the run was over, with signal 9"));
      }
    }
  }
}

TEST(CoreLosses, HowProcessesEndOnceTheRunIsOverIsNoLoss) {
  FormedRun run(ReformingRules(3));
  run.Abort(absl::InternalError("it has failed"));
  for (int32_t i = 0; i < 3; ++i) run.NoteEnd(i, "signal 9 (Killed)");
  EXPECT_TRUE(run.core().Losses().empty());
  for (int32_t i = 0; i < 3; ++i) {
    EXPECT_EQ(run.Ends(i), 1) << i;
    EXPECT_EQ(run.Count(i, ToProcess::kRegroup), 0) << i;
  }
}

TEST(CoreLosses, ARunEndsWhereThoseLeftCannotGoOnAndSaysWhy) {
  ControlRules rules = ReformingRules(3);
  rules.losses.can_go_on = [](const std::vector<NodeName>& left) {
    return left.size() == 2 ? absl::OkStatus()
                            : absl::FailedPreconditionError("12 samples and no 5 workers");
  };
  FormedRun run(rules);
  Kill(2, &run);
  run.GetReady(0, 1, {2});
  run.GetReady(1, 1, {1});
  EXPECT_TRUE(absl::StrContains(run.failure().message(), "no step that all others can go on from"))
      << run.failure();
  EXPECT_TRUE(absl::StrContains(run.failure().message(), "worker/1 before step 1"));

  FormedRun second(rules);
  Kill(2, &second);
  Kill(1, &second);
  EXPECT_TRUE(absl::StrContains(second.failure().message(), "signal 9 (Killed)"));
  EXPECT_TRUE(absl::StrContains(second.failure().message(), "12 samples and no 5 workers"));

  FormedRun alone(ReformingRules(1));
  Kill(0, &alone);
  EXPECT_TRUE(absl::StrContains(alone.failure().message(), "no worker is left"));
}

TEST(CoreLosses, WhoIsNotReadyWithinTheLimitEndsTheRunByName) {
  FormedRun run(ReformingRules(3));
  Kill(2, &run);
  run.GetReady(0, 1, {2});
  for (int second = 0; second < 20; ++second) {
    EXPECT_TRUE(run.failure().ok());
    run.Beat(0);
    run.Beat(1);
    run.Pass(absl::Seconds(1));
  }
  EXPECT_TRUE(absl::IsDeadlineExceeded(run.failure()));
  EXPECT_TRUE(absl::StrContains(run.failure().message(), "worker/1: not ready")) << run.failure();
}

TEST(CoreLosses, ALossBeforeAllHaveJoinedEndsTheRun) {
  CoreRun run(ReformingRules(2));
  ASSERT_TRUE(run.Join(0).ok());
  run.NoteEnd(1, "exit code 3");
  EXPECT_TRUE(absl::IsUnavailable(run.failure()));
}

// ---- Those left go on where they are.

ControlRules RulesOfThoseWhoGoOn(int32_t processes, int64_t lots = 0) {
  ControlRules rules = RulesOf(processes);
  rules.losses.then = AfterLoss::kContinue;
  rules.losses.goes_on_until = "trained";
  if (lots > 0) rules.claims = {0, lots, processes, /*deals_again=*/true};
  return rules;
}

void Settle(int32_t process, int64_t count, CoreRun* run) {
  FromProcess message;
  message.mutable_lots_wanted()->set_rank(process);
  message.mutable_lots_wanted()->set_applied_below(count);
  run->Say(process, message);
}

// What a process was dealt: "first+count", or "none".
std::vector<std::string> LotsOf(const CoreRun& run, int32_t process) {
  std::vector<std::string> all;
  for (const ToProcess& message : run.heard(process)) {
    if (!message.has_lots()) continue;
    EXPECT_EQ(message.lots().rank(), process);
    all.push_back(message.lots().count() == 0
                      ? "none"
                      : absl::StrCat(message.lots().first(), "+", message.lots().count()));
  }
  return all;
}

TEST(CoreGoesOn, ThoseLeftHearWhoIsLostAndBarriersAndTheEndWaitForItNoMore) {
  FormedRun run(RulesOfThoseWhoGoOn(3));
  run.Beat(0, 7);
  run.Arrive(0, "start");
  run.Arrive(2, "start");
  EXPECT_EQ(run.Count(0, ToProcess::kRelease), 0);
  Kill(1, &run);
  for (const int32_t left : {0, 2}) {
    ASSERT_EQ(run.Count(left, ToProcess::kLost), 1);
    EXPECT_EQ(run.Count(left, ToProcess::kRelease), 1);
    EXPECT_EQ(run.Ends(left), 0);
    const Lost& lost = run.heard(left)[2].lost();  // after Admitted and Welcome
    EXPECT_EQ(lost.process(), 1);
    ASSERT_EQ(lost.nodes_size(), 1);
    EXPECT_EQ(lost.nodes(0).index(), 1);
    EXPECT_THAT(lost.why().message(), HasSubstr("signal 9 (Killed)"));
  }
  EXPECT_EQ(run.Count(1, ToProcess::kLost), 0);
  run.Finish(0);
  EXPECT_FALSE(run.core().is_over());
  run.Finish(2);
  ASSERT_TRUE(run.core().is_over());
  EXPECT_TRUE(run.failure().ok()) << run.failure();
  EXPECT_EQ(run.Count(2, ToProcess::kGoodbye), 1);
  const std::vector<Loss> losses = run.core().Losses();
  ASSERT_EQ(losses.size(), 1u);
  EXPECT_THAT(losses[0].nodes(), ElementsAre("worker/1"));
  EXPECT_EQ(losses[0].how(), "signal 9 (Killed)");
  EXPECT_EQ(losses[0].step(), 7);
  EXPECT_FALSE(losses[0].reformed());
}

TEST(CoreGoesOn, ASilentProcessIsLostAndHearsThatTheRunHasEndedForIt) {
  FormedRun run(RulesOfThoseWhoGoOn(3));
  for (int beat = 0; beat < 40; ++beat) {
    run.Beat(0);
    run.Beat(2);
    run.Pass(absl::Milliseconds(100));
  }
  EXPECT_EQ(run.Count(0, ToProcess::kLost), 1);
  EXPECT_EQ(run.Count(1, ToProcess::kAbort), 1);
  run.Finish(1);  // nobody listens to it any more
  run.Finish(0);
  EXPECT_FALSE(run.core().is_over());
  run.Finish(2);
  EXPECT_TRUE(run.core().is_over());
  EXPECT_TRUE(run.failure().ok()) << run.failure();
}

TEST(CoreGoesOn, WhatSurvivorsReportAsAConsequenceDoesNotEndTheRun) {
  FormedRun run(RulesOfThoseWhoGoOn(3));
  run.Fail(0, absl::UnavailableError("connection to worker/1"));
  run.Pass(absl::Milliseconds(10));
  Kill(1, &run);
  for (int beat = 0; beat < 20; ++beat) {
    run.Beat(0);
    run.Beat(2);
    run.Pass(absl::Milliseconds(100));
  }
  EXPECT_TRUE(run.failure().ok()) << run.failure();
}

TEST(CoreGoesOn, TheOpenLotsOfALostWorkerAreDealtAgainBeforeAllOthers) {
  FormedRun run(RulesOfThoseWhoGoOn(3, 30));
  run.AskForLots(0);
  run.AskForLots(1);
  run.AskForLots(1);
  run.AskForLots(1);
  Settle(1, 1, &run);
  Kill(1, &run);
  ASSERT_EQ(run.core().Losses().size(), 1u);
  EXPECT_EQ(run.core().Losses()[0].redealt_lots(), 2);
  run.AskForLots(0);
  run.AskForLots(0);
  run.AskForLots(0);
  EXPECT_THAT(LotsOf(run, 0), ElementsAre("0+1", "3+1", "4+1", "5+1"));
}

TEST(CoreGoesOn, NobodyIsToldThatNoLotIsLeftWhileSomebodyMayBeLostWithOne) {
  FormedRun run(RulesOfThoseWhoGoOn(3, 3));
  for (int32_t process = 0; process < 3; ++process) run.AskForLots(process);
  Settle(0, 1, &run);
  run.AskForLots(0);
  EXPECT_THAT(LotsOf(run, 0), ElementsAre("0+1"));
  Settle(2, 1, &run);
  run.AskForLots(2);
  Kill(1, &run);
  EXPECT_THAT(LotsOf(run, 0), ElementsAre("0+1", "1+1"));
  EXPECT_THAT(LotsOf(run, 2), ElementsAre("2+1"));
  Settle(0, 2, &run);
  EXPECT_THAT(LotsOf(run, 2), ElementsAre("2+1", "none"));
  run.AskForLots(0);
  EXPECT_THAT(LotsOf(run, 0), ElementsAre("0+1", "1+1", "none"));
  EXPECT_TRUE(run.failure().ok());
}

TEST(CoreGoesOn, ALossThatThoseLeftCannotGoOnWithoutEndsTheRunAndSaysWhy) {
  ControlRules rules = RulesOfThoseWhoGoOn(3);
  rules.losses.can_go_on = [](const std::vector<NodeName>& left) {
    return left.size() >= 2 ? absl::OkStatus() : absl::FailedPreconditionError("2 are needed");
  };
  FormedRun run(rules);
  Kill(1, &run);
  EXPECT_TRUE(run.failure().ok());
  Kill(0, &run);
  EXPECT_THAT(std::string(run.failure().message()), HasSubstr("worker/0"));
  EXPECT_THAT(std::string(run.failure().message()), HasSubstr("2 are needed"));
}

TEST(CoreGoesOn, OnceAllHaveTrainedALossEndsTheRun) {
  FormedRun run(RulesOfThoseWhoGoOn(2));
  run.Arrive(0, "trained");
  run.Arrive(1, "trained");
  Kill(1, &run);
  EXPECT_THAT(std::string(run.failure().message()), HasSubstr("scores"));
}

}  // namespace
}  // namespace ringmaster
