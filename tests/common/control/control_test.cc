// Coordinator and clients over real gRPC on loopback, all processes of a run played by threads of
// this one: that their threads, streams and timers carry out what the cores decide
// (control_core_test, client_core_test).
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "common/base/monotonic.h"
#include "common/control/control_client.h"
#include "common/control/coordinator.h"
#include "gtest/gtest.h"
#include "tests/common/control/core_run.h"
#include "tests/support/patience.h"

namespace ringmaster {
namespace {

constexpr absl::Duration kLimit = Patience(30);
constexpr absl::Duration kBeat = absl::Milliseconds(20);

CoordinatorOptions OptionsOf(int32_t processes) {
  CoordinatorOptions options;
  static_cast<ControlRules&>(options) = RulesOf(processes);
  options.credentials.token = "the token";
  // Later than any test waits, so that nothing but what is tested wakes the coordinator in time.
  options.join_limit = absl::Hours(1);
  options.silence_limit = kLimit;
  return options;
}

// One process of the run: what it heard, and its client once it has joined.
class Process {
 public:
  Process(const Coordinator& coordinator, const Join& join, const std::string& token = "the token")
      : endpoint_(coordinator.endpoint()), join_(join), token_(token) {}

  // What it says at the end of a failed run. Before it attends.
  void Say(std::function<LastWords()> last_words) { last_words_ = std::move(last_words); }

  // Joins; returns when all have, or it failed.
  absl::Status Attend(std::function<Heartbeat()> heartbeat = [] { return Heartbeat(); }) {
    absl::StatusOr<std::unique_ptr<ControlClient>> client = ControlClient::Attend(
        endpoint_, {token_, nullptr}, join_, MonotonicNow() + kLimit,
        [this](const absl::Status& why) {
          abort_status_ = why;
          ++aborts_;
          aborted_.Notify();
        },
        std::move(heartbeat), kBeat, /*ends=*/nullptr, last_words_);
    if (client.ok()) client_ = *std::move(client);
    return client.status();
  }

  ControlClient& client() { return *client_; }
  void Leave() { client_.reset(); }

  // What on_abort was called with; DeadlineExceeded when it was not.
  absl::Status AwaitAbort() {
    if (!aborted_.WaitForNotificationWithTimeout(kLimit))
      return absl::DeadlineExceededError("on_abort was not called");
    return abort_status_;
  }
  int aborts() const { return aborts_; }

 private:
  const HostPort endpoint_;
  const Join join_;
  const std::string token_;
  std::function<LastWords()> last_words_;
  absl::Status abort_status_;
  std::atomic<int> aborts_{0};
  absl::Notification aborted_;
  std::unique_ptr<ControlClient> client_;  // last: its threads call back
};

// A coordinator and its processes.
class ControlledRun {
 public:
  explicit ControlledRun(const CoordinatorOptions& options) {
    auto coordinator = Coordinator::Start(options);
    EXPECT_TRUE(coordinator.ok()) << coordinator.status();
    coordinator_ = *std::move(coordinator);
    for (int32_t i = 0; i < options.processes; ++i) joins_.push_back(JoinOf(i, options.processes));
  }

  Coordinator& coordinator() { return *coordinator_; }
  void DestroyCoordinator() { coordinator_.reset(); }
  Join& join(int32_t index) { return joins_[index]; }
  Process& process(int32_t index) { return *processes_[index]; }
  int32_t size() const { return static_cast<int32_t>(joins_.size()); }

  // Calls `body` for every process, each on its own thread; statuses by index.
  std::vector<absl::Status> OnAll(const std::function<absl::Status(int32_t)>& body) {
    std::vector<absl::Status> statuses(size());
    std::vector<std::thread> threads;
    for (int32_t i = 0; i < size(); ++i) threads.emplace_back([&, i] { statuses[i] = body(i); });
    for (std::thread& thread : threads) thread.join();
    return statuses;
  }

  // What process `index` says at the end of a failed run. Before it joins.
  void Say(int32_t index, std::function<LastWords()> last_words) {
    last_words_[index] = std::move(last_words);
  }

  // All join at once.
  std::vector<absl::Status> JoinAll() {
    for (const Join& join : joins_) {
      processes_.push_back(std::make_unique<Process>(*coordinator_, join));
      const auto said = last_words_.find(join.process());
      if (said != last_words_.end()) processes_.back()->Say(said->second);
    }
    // Every heartbeat carries its number, so that a test can see one come after something else.
    return OnAll([this](int32_t i) {
      return processes_[i]->Attend([beats = int64_t{0}]() mutable {
        Heartbeat heartbeat;
        heartbeat.set_step(++beats);
        return heartbeat;
      });
    });
  }
  void JoinAllOrFail() {
    for (const absl::Status& status : JoinAll()) ASSERT_TRUE(status.ok()) << status;
  }

  // Returns once the coordinator has heard `count` more heartbeats of a process: what it sent
  // before has been read too.
  void AwaitHeartbeats(int32_t index, int64_t count) {
    const int64_t enough = coordinator_->Processes()[index].last.step() + count;
    const MonotonicTime deadline = MonotonicNow() + kLimit;
    while (coordinator_->Processes()[index].last.step() < enough && MonotonicNow() < deadline) {
      EXPECT_FALSE(coordinator_->WaitFor(kBeat));
    }
  }

  // Every process ends its work with a report that names its worker; what the coordinator
  // collected.
  absl::StatusOr<std::vector<ProcessReport>> FinishAll() {
    for (const absl::Status& status : OnAll([this](int32_t i) {
           ProcessReport report;
           report.add_workers()->set_rank(i);
           return processes_[i]->client().Finish(report);
         })) {
      EXPECT_TRUE(status.ok()) << status;
    }
    EXPECT_TRUE(coordinator_->WaitFor(kLimit));
    return coordinator_->Result();
  }

  // The run has failed, and what it says.
  absl::Status Failure() {
    if (!coordinator_->WaitFor(kLimit)) return absl::OkStatus();
    return coordinator_->Result().status();
  }

 private:
  std::unique_ptr<Coordinator> coordinator_;
  std::vector<Join> joins_;
  std::map<int32_t, std::function<LastWords()>> last_words_;  // by process
  std::vector<std::unique_ptr<Process>> processes_;
};

void ExpectError(const absl::Status& status, absl::StatusCode code,
                 const std::vector<std::string>& parts) {
  EXPECT_EQ(status.code(), code) << status;
  for (const std::string& part : parts) {
    EXPECT_NE(status.message().find(part), absl::string_view::npos)
        << status << " lacks \"" << part << "\"";
  }
}

TEST(Control, EachLotIsDealtToOneOfThoseWhoAskAndAFailureEndsTheWait) {
  CoordinatorOptions options = OptionsOf(3);
  options.claims = {0, 30, 3};
  ControlledRun run(options);
  run.JoinAllOrFail();
  std::vector<std::vector<int64_t>> lots(3);
  for (const absl::Status& status : run.OnAll([&](int32_t rank) -> absl::Status {
         ControlClient& client = run.process(rank).client();
         for (;;) {
           client.AskForLots(rank, 2);
           const absl::StatusOr<LotClaim> claim = client.AwaitLots(rank);
           if (!claim.ok() || claim->count == 0) return claim.status();
           for (int32_t i = 0; i < claim->count; ++i) lots[rank].push_back(claim->first + i);
         }
       })) {
    EXPECT_TRUE(status.ok()) << status;
  }
  std::set<int64_t> all;
  for (const std::vector<int64_t>& own : lots) {
    EXPECT_TRUE(std::is_sorted(own.begin(), own.end()));
    all.insert(own.begin(), own.end());
  }
  EXPECT_EQ(all.size(), 30u);
  EXPECT_EQ(lots[0].size() + lots[1].size() + lots[2].size(), 30u);
  // Who wants no more does not wait, and a failure ends the wait of who does.
  run.process(0).client().ForgetLots(0);
  const absl::StatusOr<LotClaim> forgotten = run.process(0).client().AwaitLots(0);
  ASSERT_TRUE(forgotten.ok());
  EXPECT_EQ(forgotten->count, 0);
  std::thread waits([&] { EXPECT_FALSE(run.process(1).client().AwaitLots(1).ok()); });
  run.process(2).client().Fail(absl::InternalError("the disk is full"));
  waits.join();
}

TEST(Control, AllWhoJoinedLearnWhereEverybodyIsAndTheirReportsComeBackByIndex) {
  ControlledRun run(OptionsOf(3));
  run.join(1).mutable_nodes(0)->set_server(true);
  run.join(1).add_nodes()->set_index(5);
  run.JoinAllOrFail();
  for (int32_t i = 0; i < 3; ++i) {
    const Welcome& welcome = run.process(i).client().welcome();
    ASSERT_EQ(welcome.processes_size(), 3);
    for (int32_t peer = 0; peer < 3; ++peer) {
      EXPECT_EQ(welcome.processes(peer).data_endpoint(), absl::StrCat("127.0.0.1:", 4000 + peer));
    }
    ASSERT_EQ(welcome.processes(1).nodes_size(), 2);
    EXPECT_TRUE(welcome.processes(1).nodes(0).server());
    EXPECT_EQ(welcome.processes(1).nodes(1).index(), 5);
  }
  const auto reports = run.FinishAll();
  ASSERT_TRUE(reports.ok()) << reports.status();
  ASSERT_EQ(reports->size(), 3u);
  for (int32_t i = 0; i < 3; ++i) EXPECT_EQ((*reports)[i].workers(0).rank(), i);
  for (int32_t i = 0; i < 3; ++i) EXPECT_EQ(run.process(i).aborts(), 0);
}

TEST(Control, ABarrierOpensWhenEveryProcessWithWorkersHasArrivedAndNotBefore) {
  ControlledRun run(OptionsOf(3));
  run.join(2).clear_kernel_target();  // a process without workers, which never arrives
  run.JoinAllOrFail();
  for (int round = 0; round < 5; ++round) {
    const std::string name = absl::StrCat("round ", round);
    std::atomic<bool> last_came{false};
    absl::Notification arriving;
    std::thread first([&] {
      arriving.Notify();
      EXPECT_TRUE(run.process(0).client().Barrier(name).ok());
      EXPECT_TRUE(last_came) << "the barrier opened before worker/1 arrived";
    });
    arriving.WaitForNotification();
    run.AwaitHeartbeats(0, 3);
    // Another barrier must not count for this one, nor for the process without workers.
    std::thread other(
        [&] { EXPECT_TRUE(run.process(0).client().Barrier(absl::StrCat("other ", round)).ok()); });
    EXPECT_TRUE(run.process(1).client().Barrier(absl::StrCat("other ", round)).ok());
    other.join();
    last_came = true;
    EXPECT_TRUE(run.process(1).client().Barrier(name).ok());
    first.join();
  }
  EXPECT_TRUE(run.FinishAll().ok());
}

TEST(Control, AProcessThatDoesNotFitEndsTheRunForEveryone) {
  ControlledRun run(OptionsOf(3));
  run.join(1).set_weights_fingerprint(8);
  for (const absl::Status& status : run.JoinAll()) {
    ExpectError(status, absl::StatusCode::kFailedPrecondition, {"worker/1", "set of weights"});
  }
  EXPECT_FALSE(run.Failure().ok());
}

TEST(Control, AStrangerAndASecondOwnerOfARankAreTurnedAwayAndTheRunGoesOn) {
  ControlledRun run(OptionsOf(2));
  Process early(run.coordinator(), JoinOf(1, 2), "another token");
  ExpectError(early.Attend(), absl::StatusCode::kPermissionDenied, {"token", "another job"});
  run.JoinAllOrFail();
  Process late(run.coordinator(), JoinOf(1, 2), "another token");
  ExpectError(late.Attend(), absl::StatusCode::kPermissionDenied, {"token"});
  Process second(run.coordinator(), JoinOf(0, 2));
  ExpectError(second.Attend(), absl::StatusCode::kAlreadyExists, {"rank 0", "pid 1000"});
  EXPECT_TRUE(run.FinishAll().ok());
}

TEST(Control, ARankThatNeverJoinsIsNamedToThoseWhoDid) {
  CoordinatorOptions options = OptionsOf(3);
  options.join_limit = AtThisLoad(absl::Milliseconds(300));
  ControlledRun run(options);
  Process first(run.coordinator(), JoinOf(0, 3));
  ExpectError(first.Attend(), absl::StatusCode::kDeadlineExceeded,
              {"rank 1, 2 of 3", "did not join", "join_seconds"});
  ExpectError(run.Failure(), absl::StatusCode::kDeadlineExceeded, {"rank 1, 2 of 3"});
}

TEST(Control, WhoIsSeenToStartIsAskedAboutUntilItStandsStill) {
  CoordinatorOptions options = OptionsOf(2);
  options.join_limit = absl::Milliseconds(100);
  options.starting_limit = kLimit;
  std::atomic<int> looks{0};
  options.is_starting = [&](int32_t) { return ++looks < 10; };
  ControlledRun run(options);
  ExpectError(run.Failure(), absl::StatusCode::kDeadlineExceeded,
              {"rank 0, 1 of 2", "did not join"});
  EXPECT_GE(looks, 10);
}

TEST(Control, AProcessThatEndsBeforeItsResultIsNamedToTheOthers) {
  ControlledRun run(OptionsOf(3));
  run.JoinAllOrFail();
  std::thread waiting([&] {
    ExpectError(run.process(2).client().Barrier("never"), absl::StatusCode::kUnavailable,
                {"worker/1"});
  });
  run.process(1).Leave();
  ExpectError(run.process(0).AwaitAbort(), absl::StatusCode::kUnavailable,
              {"worker/1 (pid 1001)", "the process ended before its work was done"});
  waiting.join();
  ExpectError(run.process(0).client().Finish(ProcessReport()), absl::StatusCode::kUnavailable,
              {"worker/1"});
  EXPECT_EQ(run.process(0).aborts(), 1);
}

TEST(Control, AReportedFailureReachesTheOthersAsItWasSaid) {
  ControlledRun run(OptionsOf(3));
  run.JoinAllOrFail();
  const absl::Status why = absl::OutOfRangeError("worker/0 step=3: the training loss is nan");
  run.process(0).client().Fail(why);
  EXPECT_EQ(run.process(0).client().status(), why);
  EXPECT_EQ(run.process(1).AwaitAbort(), why);
  EXPECT_EQ(run.process(2).AwaitAbort(), why);
  EXPECT_EQ(run.Failure(), why);
  // Later ones do not change it.
  run.process(1).client().Fail(absl::InternalError("another"));
  EXPECT_EQ(run.Failure(), why);
}

TEST(Control, ALostConnectionThatNothingExplainsIsTheRunsFailureAfterAll) {
  ControlledRun run(OptionsOf(2));
  run.JoinAllOrFail();
  const absl::Status why = absl::UnavailableError("the connection is lost");
  run.process(0).client().Fail(why);
  EXPECT_EQ(run.process(1).AwaitAbort(), why);
}

// Of worker `index`, with `events` events.
LastWords WordsOf(int32_t index, int events) {
  LastWords words;
  NodeLastWords* node = words.add_nodes();
  node->mutable_activity()->mutable_node()->set_index(index);
  ThreadTrace* thread = node->add_threads();
  thread->set_node(absl::StrCat("worker/", index));
  for (int i = 0; i < events; ++i) thread->add_spans()->set_step(i);
  return words;
}

TEST(Control, LastWordsArriveAlsoOfThoseWhoHangUpAtOnce) {
  ControlledRun run(OptionsOf(3));
  for (const int32_t i : {0, 1, 2}) run.Say(i, [i] { return WordsOf(i, 200); });
  run.JoinAllOrFail();
  // Who fails leaves as soon as it has said so, the others as soon as they hear of it.
  std::vector<std::thread> leaving;
  for (const int32_t i : {1, 2}) {
    leaving.emplace_back([&run, i] {
      run.process(i).AwaitAbort().IgnoreError();
      run.process(i).Leave();
    });
  }
  run.process(0).client().Fail(absl::InternalError("worker/0 step=3: broken"));
  run.process(0).Leave();
  EXPECT_FALSE(run.Failure().ok());
  const std::vector<LastWords> words = run.coordinator().AwaitLastWords(kLimit);
  for (std::thread& thread : leaving) thread.join();
  ASSERT_EQ(words.size(), 3u);
  for (int32_t i = 0; i < 3; ++i) {
    EXPECT_EQ(words[i].silent_because(), "") << i;
    ASSERT_EQ(words[i].nodes_size(), 1) << i;
    EXPECT_EQ(words[i].nodes(0).threads(0).spans_size(), 200);
  }
}

TEST(Control, TheEndWaitsForLastWordsNoLongerThanItsLimit) {
  constexpr absl::Duration kShort = absl::Milliseconds(200);
  ControlledRun run(OptionsOf(2));
  run.Say(0, [] { return WordsOf(0, 1); });  // the other never says anything
  run.JoinAllOrFail();
  run.coordinator().Abort(absl::CancelledError("interrupted"));
  ASSERT_FALSE(run.Failure().ok());
  const MonotonicTime begin = MonotonicNow();
  const std::vector<LastWords> words = run.coordinator().AwaitLastWords(kShort);
  EXPECT_GE(MonotonicNow() - begin, kShort);
  EXPECT_LT(MonotonicNow() - begin, kLimit / 2);
  ASSERT_EQ(words.size(), 2u);
  EXPECT_EQ(words[0].nodes(0).threads(0).spans_size(), 1);
  EXPECT_EQ(words[1].silent_because(), "it did not answer within 500ms");
}

TEST(Control, AClosingCoordinatorLetsEverybodyGo) {
  ControlledRun run(OptionsOf(2));
  run.JoinAllOrFail();
  std::thread waiting([&] { EXPECT_FALSE(run.process(1).client().Barrier("never").ok()); });
  run.DestroyCoordinator();
  for (int32_t i = 0; i < 2; ++i) {
    const absl::Status status = run.process(i).AwaitAbort();
    EXPECT_NE(status.message().find("the coordinator"), absl::string_view::npos) << status;
    EXPECT_EQ(run.process(i).aborts(), 1);
  }
  waiting.join();
}

TEST(Control, ABusyPortIsUnavailableWithARemedy) {
  ControlledRun run(OptionsOf(1));
  CoordinatorOptions options = OptionsOf(1);
  options.listen_at = run.coordinator().endpoint();
  ExpectError(
      Coordinator::Start(options).status(), absl::StatusCode::kUnavailable,
      {options.listen_at.ToString(), "busy", absl::StrCat("pid ", getpid()), "--coordinator"});
}

TEST(Control, NobodyAtTheEndpointIsDeadlineExceededWithARemedy) {
  HostPort endpoint;
  {
    ControlledRun gone(OptionsOf(1));
    endpoint = gone.coordinator().endpoint();
  }
  const auto client = ControlClient::Attend(
      endpoint, JobCredentials(), JoinOf(0, 1),
      MonotonicNow() + AtThisLoad(absl::Milliseconds(300)), [](const absl::Status&) {},
      [] { return Heartbeat(); }, kBeat);
  ExpectError(client.status(), absl::StatusCode::kDeadlineExceeded,
              {endpoint.ToString(), "refused", "start rank 0"});
}

}  // namespace
}  // namespace ringmaster
