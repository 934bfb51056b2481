// What weights a worker may see, and what becomes of it when the world does not answer.
#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/base/monotonic.h"
#include "common/base/partition.h"
#include "common/exchange/parts.h"
#include "gtest/gtest.h"
#include "tests/support/arms.h"
#include "tests/support/patience.h"
#include "tests/worker/strategy/strategy_group.h"

namespace ringmaster {
namespace {

constexpr int64_t kSteps = 24;
constexpr absl::Duration kLimit = Patience(40);

// With a learning rate of 1 an update of worker r adds 64^r to every element: weights are counts of
// updates by worker, in base 64, exact in float32 for three workers and fewer than 64 updates of
// each.
void CountingGradient(int32_t rank, int64_t, const Bucket&, absl::Span<float> out) {
  for (float& value : out) value = -static_cast<float>(int64_t{1} << (6 * rank));
}

int64_t UpdatesOf(int32_t rank, float weight) {
  return (static_cast<int64_t>(weight) >> (6 * rank)) & 63;
}

RunSpec ServerSpec(int32_t workers, int32_t servers, ParameterServerSpec::Consistency consistency) {
  RunSpec spec = GroupSpec(workers, 1.0f);
  ParameterServerSpec* ps = spec.mutable_strategy()->mutable_parameter_server();
  ps->set_consistency(consistency);
  ps->set_servers(servers);
  return spec;
}

// How many steps each worker has finished, for threads that wait for one another.
class Progress {
 public:
  explicit Progress(int32_t workers) : begun_(workers, -1) {}
  void Begun(int32_t rank, int64_t step) {
    absl::MutexLock lock(&mutex_);
    begun_[rank] = step;
  }
  // Lets everybody go: the run has failed.
  void GiveUp() {
    absl::MutexLock lock(&mutex_);
    given_up_ = true;
  }
  // Returns whether worker `rank` has begun `step` within the limit.
  bool Await(int32_t rank, int64_t step) {
    absl::MutexLock lock(&mutex_);
    const auto has = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
      return given_up_ || begun_[rank] >= step;
    };
    return mutex_.AwaitWithTimeout(absl::Condition(&has), kLimit) && !given_up_;
  }

 private:
  absl::Mutex mutex_;
  std::vector<int64_t> begun_ ABSL_GUARDED_BY(mutex_);
  bool given_up_ ABSL_GUARDED_BY(mutex_) = false;
};

// A worker at `step` has its own updates and those of clocks <= step - bound - 1, and none from
// beyond the gate.
absl::Status CheckCounts(GroupWorker& worker, int64_t step, int64_t bound) {
  for (const float weight : worker.front()) {
    for (int32_t rank = 0; rank < 3; ++rank) {
      const int64_t updates = UpdatesOf(rank, weight);
      const int64_t least = rank == worker.rank() ? step : step - bound;
      const int64_t most = rank == worker.rank() ? step : step + bound + 1;
      if (updates >= least && updates <= most) continue;
      return absl::InternalError(absl::StrCat("worker/", worker.rank(), " step=", step, ": ",
                                              updates, " updates of worker/", rank, ", expected ",
                                              least, " to ", most));
    }
  }
  return absl::OkStatus();
}

class Staleness : public testing::TestWithParam<int32_t> {};

// Worker 0 runs as far ahead as the bound lets it; worker 1 takes a step only once worker 0 has
// gone that far.
TEST_P(Staleness, FrontWeightsMissNoUpdateOfClocksThatTheBoundGrantsAndTheBoundIsReached) {
  const int32_t bound = GetParam();
  for (int32_t servers = 1; servers <= 3; servers += 2) {
    SCOPED_TRACE(absl::StrCat("bound=", bound, " K=", servers));
    RunSpec spec = ServerSpec(3, servers, ParameterServerSpec::SSP);
    spec.mutable_strategy()->mutable_parameter_server()->set_staleness_bound(bound);
    StrategyGroup group(spec, std::vector<float>(50, 0.0f), 20);
    Progress progress(3);
    const auto train = [&](GroupWorker& worker) -> absl::Status {
      for (int64_t step = 0; step < kSteps; ++step) {
        if (worker.rank() == 1 && !progress.Await(0, std::min<int64_t>(step + bound, kSteps - 1))) {
          return absl::DeadlineExceededError(
              absl::StrCat("worker/0 never began step ", step + bound));
        }
        absl::Status status = worker.strategy().BeginStep(step);
        if (status.ok()) status = CheckCounts(worker, step, bound);
        progress.Begun(worker.rank(), step);
        if (status.ok()) status = worker.Compute(step, CountingGradient);
        if (!status.ok()) return status;
      }
      return absl::OkStatus();
    };
    const absl::Status status = group.Run([&](GroupWorker& worker) {
      const absl::Status trained = train(worker);
      if (!trained.ok()) progress.GiveUp();
      return trained;
    });
    EXPECT_TRUE(status.ok()) << status;
  }
}

INSTANTIATE_TEST_SUITE_P(Bounds, Staleness, testing::Values(0, 1, 3));

TEST(Drain, LeavesAllWorkersWithAllUpdatesInTheMiddleOfARunAndAtItsEnd) {
  for (const auto consistency :
       {ParameterServerSpec::BSP, ParameterServerSpec::SSP, ParameterServerSpec::ASYNCHRONOUS}) {
    SCOPED_TRACE(absl::StrCat("consistency=", consistency));
    StrategyGroup group(ServerSpec(3, 2, consistency), std::vector<float>(50, 0.0f), 20);
    group.StartServers();
    for (int64_t half = 0; half < 2; ++half) {
      const absl::Status status = group.OnWorkers([&](GroupWorker& worker) {
        const absl::Status stepped = worker.Steps(half * 12, half * 12 + 12, CountingGradient);
        return stepped.ok() ? worker.strategy().Drain() : stepped;
      });
      ASSERT_TRUE(status.ok()) << status;
      for (int32_t rank = 0; rank < 3; ++rank) {
        for (const float weight : group.worker(rank).front()) {
          ASSERT_EQ(weight, 12.0f * (half + 1) * (1 + 64 + 64 * 64)) << "worker/" << rank;
        }
      }
    }
  }
}

TEST(Drain, BeforeAnyStepReturnsAtOnce) {
  StrategyGroup group(ServerSpec(2, 1, ParameterServerSpec::SSP), std::vector<float>(8, 0.0f), 4);
  EXPECT_TRUE(group.OnWorkers([](GroupWorker& worker) { return worker.strategy().Drain(); }).ok());
}

// A worker whose farewell is lost must not pass for one that is done: its servers would wait for it
// for ever.
TEST(Farewell, ThatCannotBeSentIsReported) {
  const absl::Status why = absl::UnavailableError("server/0 is gone");
  StrategyGroup group(ServerSpec(1, 1, ParameterServerSpec::BSP), std::vector<float>(8, 0.0f), 4);
  group.fabric().Abort(why);
  const absl::Status reported = group.worker(0).strategy().Finish().status;
  EXPECT_EQ(reported, why);
}

TEST(Asynchronous, StepsGoOnWhileNoServerAnswers) {
  StrategyGroup group(ServerSpec(2, 2, ParameterServerSpec::ASYNCHRONOUS),
                      std::vector<float>(50, 0.0f), 20);
  const MonotonicTime begin = MonotonicNow();
  const absl::Status status =
      group.OnWorkers([](GroupWorker& worker) { return worker.Steps(0, 2, CountingGradient); });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_LT(MonotonicNow() - begin, kLimit / 2) << "a step waited for a server until its deadline";
  for (const float weight : group.worker(0).front()) EXPECT_EQ(weight, 0.0f);
  // Once the servers are there, nothing of those steps is lost.
  group.StartServers();
  const absl::Status drained =
      group.OnWorkers([](GroupWorker& worker) { return worker.strategy().Drain(); });
  EXPECT_TRUE(drained.ok()) << drained;
  for (const float weight : group.worker(1).front()) EXPECT_EQ(weight, 2.0f * (1 + 64));
}

// A step waits for the buffers of the step before the last, and so has the weights that this one's
// pull brought, which hold the worker's own updates until then: also where exchange takes longer
// than the steps.
TEST(Asynchronous, AWorkerThatRunsAheadOfItsExchangeStillGetsWeightsInEveryStep) {
  for (int32_t servers = 1; servers <= 2; ++servers) {
    SCOPED_TRACE(absl::StrCat("K=", servers));
    StrategyGroup group(ServerSpec(3, servers, ParameterServerSpec::ASYNCHRONOUS),
                        std::vector<float>(50, 0.0f), 20);
    const absl::Status status = group.Run([&](GroupWorker& worker) -> absl::Status {
      for (int64_t step = 0; step < kSteps; ++step) {
        absl::Status stepped = worker.strategy().BeginStep(step);
        for (const float weight : worker.front()) {
          const int64_t own = UpdatesOf(worker.rank(), weight);
          if (!stepped.ok() || (own >= step - 1 && own <= step)) continue;
          stepped = absl::InternalError(absl::StrCat("worker/", worker.rank(), " step=", step, ": ",
                                                     own, " updates of its own, expected ",
                                                     step - 1, " or ", step));
        }
        if (stepped.ok()) stepped = worker.Compute(step, CountingGradient);
        if (!stepped.ok()) return stepped;
      }
      return worker.strategy().Drain();
    });
    EXPECT_TRUE(status.ok()) << status;
  }
}

// Every update adds one constant to all elements of a part, so a part whose elements differ is a
// mix of two versions.
TEST(PulledWeights, AreNeverAMixOfTwoVersionsOfAPart) {
  for (const auto consistency : {ParameterServerSpec::SSP, ParameterServerSpec::ASYNCHRONOUS}) {
    SCOPED_TRACE(absl::StrCat("consistency=", consistency));
    constexpr int32_t kServers = 2;
    RunSpec spec = ServerSpec(3, kServers, consistency);
    StrategyGroup group(spec, std::vector<float>(60000, 0.0f), 25000);
    const absl::Status status = group.Run([&](GroupWorker& worker) -> absl::Status {
      const auto check = [&](int64_t step) -> absl::Status {
        for (const Bucket& bucket : group.layout().buckets()) {
          for (int32_t server = 0; server < kServers; ++server) {
            const Range part = PartOnServer(bucket, kServers, server);
            const absl::Span<const float> weights = worker.front().subspan(part.begin, part.count);
            for (const float weight : weights) {
              if (weight == weights[0]) continue;
              return absl::InternalError(absl::StrCat("worker/", worker.rank(), " step=", step,
                                                      " bucket=", bucket.id, ": ", weights[0],
                                                      " beside ", weight));
            }
          }
        }
        return absl::OkStatus();
      };
      for (int64_t step = 0; step < kSteps; ++step) {
        absl::Status stepped = worker.strategy().BeginStep(step);
        if (stepped.ok()) stepped = check(step);
        // Weights of the last step's pull arrive while this step computes; they must not show until
        // it has ended.
        absl::Status computed;
        const auto source = [&](int32_t rank, int64_t of, const Bucket& bucket,
                                absl::Span<float> out) {
          CountingGradient(rank, of, bucket, out);
          computed.Update(check(step));
        };
        if (stepped.ok()) stepped = worker.Compute(step, source);
        stepped.Update(computed);
        if (!stepped.ok()) return stepped;
      }
      return worker.strategy().Drain();
    });
    EXPECT_TRUE(status.ok()) << status;
  }
}

// All strategies that exchange anything.
std::vector<RunSpec> ExchangingSpecs() {
  std::vector<RunSpec> specs;
  for (const auto consistency :
       {ParameterServerSpec::BSP, ParameterServerSpec::SSP, ParameterServerSpec::ASYNCHRONOUS}) {
    specs.push_back(ServerSpec(2, 2, consistency));
  }
  for (const std::string& codec : AllCodecs()) {
    RunSpec spec = GroupSpec(2, 1.0f);
    spec.mutable_strategy()->mutable_all_reduce()->set_collective("ring");
    ChooseCodec(codec, spec.mutable_codec());
    specs.push_back(spec);
  }
  return specs;
}

TEST(AFailingTransport, MakesEveryCallReturnItsStatusAndFinishEnds) {
  const absl::Status why = absl::UnavailableError("worker/1 is gone");
  for (const RunSpec& spec : ExchangingSpecs()) {
    SCOPED_TRACE(spec.ShortDebugString());
    StrategyGroup group(spec, std::vector<float>(50, 0.0f), 20);
    group.StartServers();
    ASSERT_TRUE(
        group.OnWorkers([](GroupWorker& worker) { return worker.Steps(0, 2, CountingGradient); })
            .ok());
    group.fabric().Abort(why);
    std::vector<float> gradient(20, 0.0f);
    SyncStrategy& strategy = group.worker(0).strategy();
    // The exchange thread meets the abort during this step; what the step's own calls return
    // depends on when.
    group.worker(0).Step(2, CountingGradient).IgnoreError();
    const absl::Status drained = strategy.Drain();
    EXPECT_EQ(drained.code(), why.code()) << drained;
    EXPECT_NE(drained.message().find(why.message()), absl::string_view::npos) << drained;
    EXPECT_EQ(strategy.BeginStep(3), drained);
    EXPECT_EQ(strategy.GradReady(3, group.layout().buckets()[0],
                                 BucketGradient::OnHost(absl::MakeSpan(gradient))),
              drained);
    EXPECT_EQ(strategy.EndStep(3), drained);
    EXPECT_EQ(strategy.Drain(), drained);
  }  // the group's destructor calls Finish
}

}  // namespace
}  // namespace ringmaster
