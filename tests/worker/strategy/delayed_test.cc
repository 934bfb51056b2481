// The sum of a step is applied after the gradients of the next are computed, and nothing else is
// changed.
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/random.h"
#include "common/config/resolve.h"
#include "common/update/update_rule.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/common/config/known_names.h"
#include "tests/support/patience.h"
#include "tests/worker/strategy/strategy_group.h"

namespace ringmaster {
namespace {

using Floats = std::vector<float>;

constexpr int64_t kCount = 37;
constexpr int64_t kBucketElements = 11;

RunSpec DelayedSpecOf(int32_t workers, const std::string& optimizer, float rate) {
  RunSpec spec = GroupSpec(workers, rate);
  spec.mutable_strategy()->mutable_delayed();
  spec.mutable_optimizer()->set_name(optimizer);
  if (optimizer == "momentum") spec.mutable_optimizer()->set_momentum(0.9f);
  return spec;
}

float GradientAt(int32_t rank, int64_t step, int64_t element, float weight) {
  Random random(MixSeed(MixSeed(rank, step), element));
  return (random.Normal() + weight) / 2;
}

// By its definition, in one thread: the gradients of step t are those of weights that have the
// updates of all steps before t - 1.
Floats Definition(const RunSpec& spec, int64_t steps) {
  UpdateScope scope;
  scope.count = kCount;
  scope.batches = 2;
  const auto rule = CreateUpdateRule(Resolve(spec, {})->optimizer(), std::move(scope));
  Floats weights(kCount, 1.0f), pending;
  for (int64_t step = 0; step <= steps; ++step) {
    Floats sum(kCount);
    for (int64_t i = 0; i < kCount; ++i)
      sum[i] = GradientAt(0, step, i, weights[i]) + GradientAt(1, step, i, weights[i]);
    if (step > 0) (*rule)->Apply({0, 0, step - 1}, pending, absl::MakeSpan(weights));
    pending = sum;
  }
  return weights;
}

TEST(Delayed, IsItsDefinitionAndEveryUpdateIsInTheWeightsAfterDrain) {
  for (const char* optimizer : {"sgd", "momentum", "adam"}) {
    for (const int64_t steps : {1, 2, 9}) {
      SCOPED_TRACE(absl::StrCat(optimizer, " steps=", steps));
      const RunSpec spec = DelayedSpecOf(2, optimizer, 0.05f);
      StrategyGroup group(spec, Floats(kCount, 1.0f), kBucketElements);
      const absl::Status status = group.Run([&](GroupWorker& worker) {
        const auto source = [&](int32_t rank, int64_t step, const Bucket& bucket,
                                absl::Span<float> out) {
          for (int64_t i = 0; i < bucket.count; ++i) {
            const int64_t element = bucket.begin + i;
            out[i] = GradientAt(rank, step, element, worker.front()[element]);
          }
        };
        const absl::Status stepped = worker.Steps(0, steps, source);
        return stepped.ok() ? worker.strategy().Drain() : stepped;
      });
      ASSERT_TRUE(status.ok()) << status;
      const Floats expected = Definition(spec, steps);
      for (int32_t rank = 0; rank < 2; ++rank)
        EXPECT_EQ(group.worker(rank).front(), absl::MakeConstSpan(expected)) << "worker/" << rank;
    }
  }
}

// What is left of x = 1 on x^2/2 after so many steps.
double Left(RunSpec spec, int64_t steps) {
  StrategyGroup group(spec, {1.0f}, 1);
  const absl::Status status = group.Run([&](GroupWorker& worker) {
    const auto source = [&](int32_t, int64_t, const Bucket&, absl::Span<float> out) {
      out[0] = worker.front()[0] / 2;
    };
    const absl::Status stepped = worker.Steps(0, steps, source);
    return stepped.ok() ? worker.strategy().Drain() : stepped;
  });
  EXPECT_TRUE(status.ok()) << status;
  return std::abs(group.worker(0).front()[0]);
}

// A delay of one lowers the edge of plain descent from 2 to 1, and that of momentum 0.9 from 3.8 to
// 0.1.
TEST(Delayed, IsStableUpToTheEdgeOfADelayOfOne) {
  constexpr int64_t kSteps = 600;
  EXPECT_LT(Left(DelayedSpecOf(2, "sgd", 0.95f), kSteps), 1e-3);
  EXPECT_GT(Left(DelayedSpecOf(2, "sgd", 1.05f), kSteps), 1e3);
  EXPECT_LT(Left(DelayedSpecOf(2, "momentum", 0.09f), kSteps), 0.1);
  EXPECT_GT(Left(DelayedSpecOf(2, "momentum", 0.115f), kSteps), 10);
  RunSpec ring = DelayedSpecOf(2, "momentum", 3.7f);
  ring.mutable_strategy()->mutable_all_reduce();
  EXPECT_LT(Left(ring, kSteps), 0.1);
}

// Worker/1 ends its step only after worker/0 has ended its own, which a step that waits for its own
// sum never could.
TEST(Delayed, AStepEndsWithoutItsOwnSum) {
  absl::Mutex mutex;
  bool ended = false;
  StrategyGroup group(DelayedSpecOf(2, "sgd", 0.1f), Floats(kCount, 1.0f), kBucketElements);
  const auto zero = [](int32_t, int64_t, const Bucket&, absl::Span<float> out) {
    for (float& value : out) value = 0;
  };
  const absl::Status status = group.Run([&](GroupWorker& worker) {
    if (worker.rank() == 0) {
      const absl::Status stepped = worker.Step(0, zero);
      absl::MutexLock lock(&mutex);
      ended = true;
      if (!stepped.ok()) return stepped;
    } else {
      {
        absl::MutexLock lock(&mutex);
        if (!mutex.AwaitWithTimeout(absl::Condition(&ended), Patience(20)))
          return absl::DeadlineExceededError("worker/0 waits for the sum of its own step");
      }
      const absl::Status stepped = worker.Step(0, zero);
      if (!stepped.ok()) return stepped;
    }
    return worker.strategy().Drain();
  });
  EXPECT_TRUE(status.ok()) << status;
}

TEST(Delayed, RefusesAnotherLibraryAndACodecThatItsCollectiveCannotAdd) {
  RunSpec spec = DelayedSpecOf(2, "sgd", 0.1f);
  spec.mutable_strategy()->mutable_delayed()->set_collective("mpi");
  EXPECT_THAT(std::string(Validate(*Resolve(spec, {}), TestNames()).message()),
              testing::HasSubstr("strategy.delayed.collective = \"mpi\""));
  spec.mutable_strategy()->mutable_delayed()->set_collective("direct");
  spec.mutable_codec()->set_name("topk");
  EXPECT_THAT(std::string(Validate(*Resolve(spec, {}), TestNames()).message()),
              testing::HasSubstr("use collective \"ring\", which gathers them"));
}

}  // namespace
}  // namespace ringmaster
