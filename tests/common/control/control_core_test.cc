// What the coordinator decides, event by event, under a clock of the test's own.
#include "common/control/control_core.h"

#include <functional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/common/control/core_run.h"

namespace ringmaster {
namespace {

constexpr absl::Duration kMoment = absl::Nanoseconds(1);

void ExpectError(const absl::Status& status, absl::StatusCode code,
                 const std::vector<std::string>& parts) {
  EXPECT_EQ(status.code(), code) << status;
  for (const std::string& part : parts) {
    EXPECT_TRUE(absl::StrContains(status.message(), part)) << status << " lacks \"" << part << "\"";
  }
}

TEST(ControlCore, TheLastToJoinFormsTheMembershipAndAllLearnWhereEverybodyIs) {
  CoreRun run(RulesOf(3));
  Join two_nodes = JoinOf(1, 3);
  two_nodes.mutable_nodes(0)->set_server(true);
  two_nodes.add_nodes()->set_index(5);
  EXPECT_TRUE(run.Join(2).ok());
  EXPECT_TRUE(run.Join(two_nodes).ok());
  EXPECT_EQ(run.heard(2).size(), 1u) << "more than Admitted before all are here";
  EXPECT_FALSE(run.formed());
  EXPECT_TRUE(run.Join(0).ok());
  EXPECT_TRUE(run.formed());
  for (int32_t i = 0; i < 3; ++i) {
    ASSERT_EQ(run.heard(i).size(), 2u);
    EXPECT_TRUE(run.heard(i)[0].has_admitted());
    const Welcome& welcome = run.heard(i)[1].welcome();
    ASSERT_EQ(welcome.processes_size(), 3);
    for (int32_t peer = 0; peer < 3; ++peer) {
      EXPECT_EQ(welcome.processes(peer).data_endpoint(), absl::StrCat("127.0.0.1:", 4000 + peer));
    }
    ASSERT_EQ(welcome.processes(1).nodes_size(), 2);
    EXPECT_TRUE(welcome.processes(1).nodes(0).server());
  }
  EXPECT_EQ(run.core().Processes()[1].nodes, "server/1+worker/5");
}

TEST(ControlCore, WhoListensEverywhereIsNamedByTheAddressThatIsKnownWhenAllAreHere) {
  CoreRun run(RulesOf(2));
  Join everywhere = JoinOf(0, 2);
  everywhere.set_data_endpoint("0.0.0.0:4000");
  EXPECT_TRUE(run.Join(everywhere).ok());
  run.witness.reached_at = "10.0.0.7";
  EXPECT_TRUE(run.Join(1).ok());
  EXPECT_EQ(run.heard(1)[1].welcome().processes(0).data_endpoint(), "10.0.0.7:4000");
}

struct Difference {
  const char* name;
  std::function<void(Join*)> apply;
  absl::StatusCode code;
  std::vector<std::string> parts;
};

// That process 1 of three ends the run for all where it differs so.
void ExpectRefused(const std::vector<Difference>& differences) {
  for (const Difference& difference : differences) {
    SCOPED_TRACE(difference.name);
    CoreRun run(RulesOf(3));
    for (const int32_t i : {0, 2, 1}) {
      Join join = JoinOf(i, 3);
      join.set_boot_id("this boot");
      join.set_network_namespace(7);
      if (i == 1) difference.apply(&join);
      const absl::Status answer = run.Join(join);
      if (i == 1 && !answer.ok()) {
        EXPECT_EQ(answer, run.failure());
      }
    }
    ExpectError(run.failure(), difference.code, difference.parts);
    EXPECT_FALSE(run.formed());
    for (const int32_t i : {0, 2}) {
      ASSERT_EQ(run.Ends(i), 1);
      EXPECT_EQ(StatusOf(run.heard(i).back().abort()), run.failure());
    }
  }
}

TEST(ControlCore, AProcessThatStartsDifferentlyEndsTheRunForEveryoneByName) {
  const std::vector<Difference> differences = {
      {"spec",
       [](Join* join) { join->set_spec_fingerprint(8); },
       absl::StatusCode::kInvalidArgument,
       {"rank 1", "another resolved spec"}},
      {"layout",
       [](Join* join) { join->set_layout_fingerprint(8); },
       absl::StatusCode::kFailedPrecondition,
       {"worker/1", "parameter layout", "worker/0"}},
      {"weights",
       [](Join* join) { join->set_weights_fingerprint(8); },
       absl::StatusCode::kFailedPrecondition,
       {"worker/1", "set of weights", "worker/0"}},
      {"kernels",
       [](Join* join) { join->set_kernel_target("cublas/90"); },
       absl::StatusCode::kFailedPrecondition,
       {"worker/1 computes with cublas/90", "worker/0 with cpu/avx2", "training.kernels"}},
      {"size",
       [](Join* join) { join->set_processes(4); },
       absl::StatusCode::kInvalidArgument,
       {"rank 1 of 4"}},
      {"machine",
       [](Join* join) { join->set_boot_id("another"); },
       absl::StatusCode::kFailedPrecondition,
       {"worker/0 listens at 127.0.0.1:4000", "worker/1 is on another machine",
        "transport.listen_address"}},
      {"namespace",
       [](Join* join) { join->set_network_namespace(8); },
       absl::StatusCode::kFailedPrecondition,
       {"worker/0 listens at 127.0.0.1:4000", "worker/1 is in another network namespace"}},
  };
  ExpectRefused(differences);
}

TEST(ControlCore, ARankWithOtherDataEndsTheRunForEveryoneByWhatDiffers) {
  const std::vector<Difference> differences = {
      {"labels",
       [](Join* join) { join->mutable_data()->set_train_labels("b"); },
       absl::StatusCode::kFailedPrecondition,
       {"worker/1 reads other data than worker/0: they differ in the labels of the training set (b "
        "here, a there)"}},
      {"classes, and so the layout",
       [](Join* join) {
         join->mutable_data()->set_classes(27);
         join->set_layout_fingerprint(8);
       },
       absl::StatusCode::kFailedPrecondition,
       {"worker/1 reads other data than worker/0", "number of classes (27 here, 10 there)"}},
      {"normalization",
       [](Join* join) { join->mutable_data()->add_mean(0.5f); },
       absl::StatusCode::kFailedPrecondition,
       {"worker/1 reads other data than worker/0", "mean (0.5 here, none there)"}},
  };
  ExpectRefused(differences);
}

TEST(ControlCore, AProcessWithoutWorkersNeedsNoKernelTargetAndNoData) {
  CoreRun run(RulesOf(2));
  Join server = JoinOf(0, 2);
  server.clear_kernel_target();
  server.clear_data();
  EXPECT_TRUE(run.Join(server).ok());
  EXPECT_TRUE(run.Join(1).ok());
  EXPECT_TRUE(run.formed());
}

TEST(ControlCore, AStrangerAndASecondOwnerOfARankAreTurnedAwayAndTheRunGoesOn) {
  CoreRun run(RulesOf(2));
  run.ComeAStranger(JoinOf(1, 2));
  EXPECT_TRUE(run.Join(0).ok());
  ExpectError(run.Join(0), absl::StatusCode::kAlreadyExists, {"rank 0", "pid 1000"});
  EXPECT_TRUE(run.Join(1).ok());
  run.ComeAStranger(JoinOf(1, 2));
  run.ComeAStranger(JoinOf(7, 2));
  EXPECT_TRUE(run.formed());
  EXPECT_FALSE(run.core().is_over());
}

TEST(ControlCore, WhoComesAfterTheRunHasFailedHearsWithWhat) {
  CoreRun run(RulesOf(2));
  const absl::Status why = absl::CancelledError("interrupted");
  run.Abort(why);
  EXPECT_EQ(run.Join(0), why);
  EXPECT_EQ(run.failure(), why);
}

TEST(ControlCore, RanksThatDoNotJoinAreNamedAtTheLimitAndNotBefore) {
  CoreRun run(RulesOf(3));
  run.ComeAStranger(JoinOf(2, 3));
  run.core().NoteStarted(1, 4321);
  EXPECT_TRUE(run.Join(0).ok());
  run.Pass(absl::Seconds(10) - kMoment);
  EXPECT_FALSE(run.core().is_over());
  run.Pass(kMoment);
  ExpectError(run.failure(), absl::StatusCode::kDeadlineExceeded,
              {"rank 1, 2 of 3 did not join within 10s (limits.join_seconds): who knows"});
  EXPECT_EQ(StatusOf(run.heard(0).back().abort()), run.failure());
  ASSERT_EQ(run.witness.missing.size(), 2u);
  EXPECT_EQ(run.witness.missing[0].trace.pid, 4321);
  EXPECT_TRUE(absl::StrContains(run.witness.missing[1].trace.refused, "token"));
  EXPECT_TRUE(run.witness.looks.empty());
}

TEST(ControlCore, ARankThatIsSeenToStartIsWaitedForUntilItStandsStill) {
  ControlRules rules = RulesOf(3);
  rules.starting_limit = absl::Seconds(50);
  CoreRun run(rules);
  run.witness.starting = {1, 2};
  EXPECT_TRUE(run.Join(0).ok());
  run.Pass(absl::Seconds(30));
  EXPECT_FALSE(run.core().is_over());
  // Both are looked at from the beginning, every 50 ms.
  EXPECT_GE(run.witness.looks[1], 30 * 20);
  EXPECT_EQ(run.witness.looks[1], run.witness.looks[2]);
  EXPECT_EQ(run.witness.looks.count(0), 0u);
  run.witness.starting = {1};
  run.Pass(absl::Milliseconds(50));
  ExpectError(run.failure(), absl::StatusCode::kDeadlineExceeded, {"rank 1, 2 of 3 did not join"});
}

TEST(ControlCore, ARankThatIsSeenToStartIsWaitedForUntilTheOuterLimit) {
  ControlRules rules = RulesOf(2);
  rules.starting_limit = absl::Seconds(50);
  CoreRun run(rules);
  run.witness.starting = {0, 1};
  run.Pass(absl::Seconds(50) - kMoment);
  EXPECT_FALSE(run.core().is_over());
  run.Pass(absl::Milliseconds(50));
  ExpectError(run.failure(), absl::StatusCode::kDeadlineExceeded, {"rank 0, 1 of 2 did not join"});
}

TEST(ControlCore, ABarrierOpensForAllWhenEveryProcessWithWorkersHasArrived) {
  CoreRun run(RulesOf(3));
  Join server = JoinOf(2, 3);
  server.clear_kernel_target();
  for (const Join& join : {JoinOf(0, 3), JoinOf(1, 3), server}) ASSERT_TRUE(run.Join(join).ok());
  for (int round = 1; round <= 3; ++round) {
    run.Arrive(0, "a");
    run.Arrive(0, "a");
    run.Arrive(2, "a");
    run.Arrive(1, "b");
    EXPECT_EQ(run.Count(0, ToProcess::kRelease), 2 * round - 2)
        << "a barrier opened before its last process came";
    run.Arrive(1, "a");
    for (int32_t i = 0; i < 3; ++i) {
      ASSERT_EQ(run.Count(i, ToProcess::kRelease), 2 * round - 1);
      EXPECT_EQ(run.heard(i).back().release().barrier(), "a");
    }
    run.Arrive(0, "b");
    EXPECT_EQ(run.Count(2, ToProcess::kRelease), 2 * round);
  }
}

TEST(ControlCore, ASilentProcessIsNamedWithStepAndPhaseAtTheLimitAndNotBefore) {
  for (const bool suspended : {false, true}) {
    FormedRun run(2);
    run.Pass(absl::Milliseconds(70));  // so that no other look falls on the limit
    run.Beat(1, 12, "forward");
    if (suspended) run.witness.suspended = {1001};
    run.Pass(absl::Seconds(2));
    run.Beat(0);
    run.Pass(absl::Seconds(1) - kMoment);
    EXPECT_FALSE(run.core().is_over());
    run.Pass(kMoment);
    ExpectError(run.failure(), absl::StatusCode::kDeadlineExceeded,
                {"worker/1 (pid 1001), last seen at step=12 phase=forward: no heartbeat for 3s; "
                 "the process ",
                 suspended ? "is suspended: a signal (SIGSTOP, Ctrl-Z) has stopped it"
                           : "hangs or its machine is gone",
                 suspended ? "(kill -CONT 1001)" : ""});
    EXPECT_EQ(run.Ends(0), 1);
    EXPECT_EQ(run.Ends(1), 1);
  }
}

TEST(ControlCore, AProcessWhoseWorkIsDoneMayBeSilent) {
  FormedRun run(2);
  run.Finish(1);
  run.Leave(1);
  for (int i = 0; i < 20; ++i) {
    run.Pass(absl::Seconds(1));
    run.Beat(0);
  }
  EXPECT_FALSE(run.core().is_over());
}

TEST(ControlCore, ADeathWaitsForItsCauseAndNoLongerThanItsLimit) {
  FormedRun run(3);
  run.Leave(1);
  run.Pass(absl::Milliseconds(300) - kMoment);
  EXPECT_FALSE(run.core().is_over());
  run.Pass(kMoment);
  ExpectError(run.failure(), absl::StatusCode::kUnavailable,
              {"worker/1 (pid 1001), last seen at step=0 phase=start: the process ended before its "
               "work was "
               "done; whoever started it knows its exit code or signal"});
  EXPECT_EQ(run.Ends(0), 1);
  EXPECT_EQ(run.Ends(1), 0) << "its stream is gone";
  EXPECT_EQ(run.Ends(2), 1);
}

TEST(ControlCore, ACauseThatIsSeenEndsTheRunAtTheNextLook) {
  FormedRun run(2);
  run.witness.killed_for_memory = "out of memory";
  run.Leave(1);
  run.Pass(absl::Milliseconds(10));
  run.witness.ended[1001] = "signal 9 (Killed)";
  run.Pass(absl::Milliseconds(50));
  ExpectError(
      run.failure(), absl::StatusCode::kUnavailable,
      {"the process ended before its work was done, with signal 9 (Killed); out of memory"});
}

TEST(ControlCore, AConnectionThatBreaksAloneIsToldFromADeath) {
  FormedRun run(2);
  run.witness.there = {1001};
  run.Leave(1);
  run.Pass(absl::Seconds(1));
  ExpectError(run.failure(), absl::StatusCode::kUnavailable,
              {"its connection broke, and the process is still there"});
}

TEST(ControlCore, AnEndThatItsParentTellsNeedsNoLook) {
  FormedRun run(2);
  run.NoteEnd(1, "exit code 3");
  ExpectError(run.failure(), absl::StatusCode::kUnavailable,
              {"worker/1 (pid 1001)", ", with exit code 3"});

  CoreRun early(RulesOf(2));
  early.NoteEnd(1, "exit code 3");
  ExpectError(
      early.failure(), absl::StatusCode::kUnavailable,
      {"process/1 (rank 1) ended with exit code 3 before it joined; what it said stands above"});

  FormedRun done(2);
  done.Finish(1);
  done.NoteEnd(1, "exit code 0");
  EXPECT_FALSE(done.core().is_over());
}

TEST(ControlCore, ALostConnectionThatNothingExplainsIsTheRunsFailureAfterAll) {
  FormedRun run(2);
  const absl::Status why = absl::UnavailableError("the connection is lost");
  run.Fail(0, why);
  run.Fail(1, absl::UnavailableError("the other end of it"));
  run.Pass(absl::Milliseconds(300) - kMoment);
  EXPECT_FALSE(run.core().is_over());
  run.Pass(kMoment);
  EXPECT_EQ(run.failure(), why);
}

TEST(ControlCore, ADeathExplainsAConnectionThatWasReportedLostBefore) {
  FormedRun run(3);
  run.Fail(0, absl::UnavailableError("the connection is lost"));
  run.Pass(absl::Milliseconds(200));
  run.Leave(1);
  run.Pass(absl::Milliseconds(200));
  EXPECT_FALSE(run.core().is_over());
  // What the others say meanwhile comes of the death, as mpirun's signals do.
  run.Fail(2, absl::InternalError("ended by SIGTERM"));
  EXPECT_FALSE(run.core().is_over());
  run.Pass(absl::Milliseconds(100));
  ExpectError(run.failure(), absl::StatusCode::kUnavailable,
              {"worker/1 (pid 1001)", "the process ended"});
}

TEST(ControlCore, AReportedFailureReachesAllAtOnceAndLaterOnesChangeNothing) {
  FormedRun run(3);
  const absl::Status why = absl::OutOfRangeError("worker/0 step=3: the training loss is nan");
  run.Fail(0, why);
  EXPECT_EQ(run.core().wake(), MonotonicTime::InfiniteFuture());
  run.Fail(1, absl::InternalError("another"));
  run.Abort(absl::CancelledError("interrupted"));
  run.NoteEnd(2, "exit code 1");
  run.Leave(1);
  for (const int32_t i : {0, 2}) run.Finish(i);
  run.Pass(absl::Minutes(1));
  EXPECT_EQ(run.failure(), why);
  for (int32_t i = 0; i < 3; ++i) {
    EXPECT_EQ(run.Ends(i), 1);
    EXPECT_EQ(StatusOf(run.heard(i).back().abort()), why);
  }
}

TEST(ControlCore, AFailureWithoutACodeIsNone) {
  FormedRun run(1);
  run.Fail(0, absl::OkStatus());
  EXPECT_FALSE(run.core().is_over());
}

TEST(ControlCore, TheRunIsDoneWhenEveryProcessHasSentItsResult) {
  FormedRun run(3);
  for (const int32_t i : {2, 0, 0, 0}) run.Finish(i);
  EXPECT_FALSE(run.core().is_over()) << "a result that comes again counted for another process";
  EXPECT_EQ(run.Ends(0), 0);
  run.Finish(1);
  ASSERT_TRUE(run.core().is_over());
  for (int32_t i = 0; i < 3; ++i) EXPECT_EQ(run.Count(i, ToProcess::kGoodbye), 1);
  run.Abort(absl::CancelledError("too late"));
  run.Leave(0);
  run.Pass(absl::Minutes(1));
  const auto reports = run.core().Result();
  ASSERT_TRUE(reports.ok()) << reports.status();
  ASSERT_EQ(reports->size(), 3u);
  for (int32_t i = 0; i < 3; ++i) EXPECT_EQ((*reports)[i].workers(0).rank(), i);
  EXPECT_EQ(run.Ends(1), 1);
}

TEST(ControlCore, WaitsOfNodesForEachOtherAreJudged) {
  ControlRules rules = RulesOf(2);
  rules.waits.wait = absl::Seconds(30);
  FormedRun run(rules);
  const MonotonicTime begin = run.now();
  while (!run.core().is_over() && run.now() < begin + absl::Minutes(1)) {
    for (const int32_t i : {0, 1}) {
      FromProcess message;
      NodeActivity* node = message.mutable_heartbeat()->add_nodes();
      node->mutable_node()->set_index(i);
      node->set_state(NodeActivity::WAITS);
      node->add_awaited()->mutable_peer()->set_index(1 - i);
      run.Say(i, message);
    }
    run.Pass(absl::Seconds(1));
  }
  ExpectError(run.failure(), absl::StatusCode::kDeadlineExceeded,
              {"worker/0", "worker/1", "limits.wait_seconds"});
  EXPECT_GE(run.now() - begin, absl::Seconds(30));
  EXPECT_LE(run.now() - begin, absl::Seconds(32));
}

TEST(ControlCore, ASilentProcesssTimeoutSaysWhatEveryRankWasDoing) {
  FormedRun run(3);
  const MonotonicTime begin = run.now();
  while (!run.core().is_over() && run.now() < begin + absl::Minutes(1)) {
    if (run.now() == begin) run.SayItWaits(1, 5, 2);
    run.SayItWaits(0, 6, 1);
    run.SayItWaits(2, 6, 1);
    run.Pass(absl::Seconds(1));
  }
  ExpectError(
      run.failure(), absl::StatusCode::kDeadlineExceeded,
      {"worker/1 (pid 1001), last seen at step=0 phase=start: no heartbeat for 3s",
       "; meanwhile worker/0 at step=6 phase=exchange waits for worker/1 (collective step=0 "
       "bucket=0) since 2.0s; worker/1 at step=5 phase=exchange waits for worker/2 (collective "
       "step=0 bucket=0) since 0.0s; worker/2 at step=6 phase=exchange waits for worker/1"});
}

}  // namespace
}  // namespace ringmaster
