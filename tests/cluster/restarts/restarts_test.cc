// Real processes of runs that are started again when one of them is lost.

#include <signal.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/run_record.pb.h"
#include "tests/cluster/restarts/restarted_run.h"
#include "tests/support/family_pipe.h"
#include "tests/support/patience.h"
#include "tests/support/program.h"

namespace ringmaster {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

// A server apart comes back with its weights, one beside a worker with that; and a share of the
// optimizer's state that nobody else had.
TEST(Restarts, RunsThatLoseServersAndWorkersEndWithTheBitsOfRunsThatLoseNone) {
  auto records = MakeRestarting("ps,ps-sharded", {"--fault", "server:0@step=45 kill"});
  records.merge(MakeRestarting("sharded-optimizer", {"--fault", "worker:1@step=45 kill"}));
  const auto whole = MakeRestarting("ps,ps-sharded,sharded-optimizer", {});
  ASSERT_EQ(records.size(), 3u);
  ASSERT_EQ(whole.size(), 3u);
  for (const auto& [arm, record] : records) {
    SCOPED_TRACE(arm);
    ExpectRestarted(record, arm == "sharded-optimizer" ? "worker/1" : "server/0", 45);
    ExpectSameBits(record, whole.at(arm));
  }
}

TEST(Restarts, OfClaimedWorkNoLotIsLostOrComputedTwiceAndLostUpdatesAreCounted) {
  const auto records = MakeRestarting("async", {"--fault", "server:0@step=45 kill"});
  ASSERT_EQ(records.size(), 1u);
  const RunRecord& record = records.at("async");
  ExpectRestarted(record, "server/0", 0);
  ExpectEveryLotOnce(record);
  EXPECT_GT(record.losses(0).lost_updates(), 0);
}

TEST(Restarts, WithoutCheckpointsARunBeginsAnewAndSaysSo) {
  const std::string out = NewFolder("anew");
  const Finished finished = RunProgram(CompareRestarting(
      "ring", out,
      {"--set", "training.checkpoint_every_steps=1000", "--fault", "worker:0@step=30 kill"}));
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_THAT(finished.err, AllOf(HasSubstr("ring: lost worker/0"), HasSubstr("signal 9"),
                                  HasSubstr("from the beginning, for there is no checkpoint yet "
                                            "(restart 1 of 3)")));
  EXPECT_THAT(finished.out, HasSubstr("all processes were started again and in step 0 after "));
}

// Behind a checkpoint of which some processes have written their part and others may not have.
TEST(Restarts, APartOfACheckpointIsNeverGoneOnFrom) {
  const auto records = MakeRestarting("ring", {"--fault", "worker:1@step=20 kill"});
  const auto whole = MakeRestarting("ring", {});
  ASSERT_EQ(records.size(), 1u);
  ASSERT_EQ(whole.size(), 1u);
  ASSERT_EQ(records.at("ring").losses_size(), 1);
  const Loss& loss = records.at("ring").losses(0);
  EXPECT_TRUE(loss.resumed_step() == 0 || loss.resumed_step() == kRestartedEvery);
  ExpectSameBits(records.at("ring"), whole.at("ring"));
}

TEST(Restarts, TheyEndWhenNoneIsLeftAndWhatWasKeptCanBeResumed) {
  const std::string out = NewFolder("exhausted");
  const std::vector<std::string> faults = {"--fault", "worker:0@step=45 kill", "--fault",
                                           "worker:1@step=50 kill"};
  std::vector<std::string> more = {"--set", "limits.restarts=1"};
  more.insert(more.end(), faults.begin(), faults.end());
  const Finished finished = RunProgram(CompareRestarting("sharded-optimizer", out, more));
  EXPECT_EQ(finished.exit_code, 1) << finished.err;
  EXPECT_THAT(finished.out,
              AllOf(HasSubstr("worker/1"),
                    HasSubstr("it had been started again 1 of at most 1 times (limits.restarts)")));
  const Finished resumed = RunProgram(CompareRestarting("sharded-optimizer", out, {"--resume"}));
  EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_THAT(resumed.err, HasSubstr("sharded-optimizer goes on from step "));
}

TEST(Restarts, AnInterruptBetweenTwoAttemptsLeavesNothing) {
  const std::string out = NewFolder("interrupted");
  FamilyPipe family;
  Program program(
      CompareRestarting("ps", out,
                        {"--set", "training.steps=1000000", "--set",
                         "training.evaluate_every_samples=0", "--fault", "worker:1@step=45 kill"}),
      {}, [&family] { family.Join(); });
  family.Close();
  ASSERT_TRUE(program.WaitForError("starting again from step ", Patience(60)))
      << program.ErrorSoFar();
  program.Signal(SIGINT);
  const Finished finished = program.Wait(Patience(10));
  EXPECT_EQ(finished.exit_code, 130) << finished.err;
  EXPECT_TRUE(family.AwaitTheLast(Patience(5))) << "left: " << family.Members();
}

TEST(Restarts, WhatIsNoLossEndsTheRun) {
  const std::string out = NewFolder("diverged");
  const Finished finished = RunProgram(CompareRestarting("ps", out, {"--learning-rate", "1e30"}));
  EXPECT_EQ(finished.exit_code, 1) << finished.err;
  EXPECT_THAT(finished.err, Not(HasSubstr("starting again")));
}

TEST(Restarts, ThePlanSaysWhatWouldFollowAndNoneAtAllAreRefused) {
  const std::string out = NewFolder("plan");
  const Finished planned = RunProgram(CompareRestarting("ps", out, {"--plan"}));
  EXPECT_EQ(planned.exit_code, 0) << planned.err;
  EXPECT_THAT(planned.out,
              HasSubstr("# a process of ps is lost: all processes would be started again, from the "
                        "newest checkpoint, one every 20 steps"));
  const Finished refused =
      RunProgram(CompareRestarting("ps", out, {"--plan", "--set", "limits.restarts=0"}));
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, HasSubstr("limits.restarts = 0"));
}

}  // namespace
}  // namespace ringmaster
