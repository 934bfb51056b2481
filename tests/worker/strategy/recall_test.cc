// The model at a mark, as every strategy brings it to every worker after training.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "common/config/arms.h"
#include "common/config/describe.h"
#include "common/scheme/registry.h"
#include "gtest/gtest.h"
#include "tests/support/allocations.h"
#include "tests/support/arms.h"
#include "tests/worker/strategy/strategy_group.h"

namespace ringmaster {
namespace {

using Floats = std::vector<float>;

constexpr int32_t kWorkers = 3;
constexpr int64_t kSteps = 7;
constexpr int64_t kCount = 1000;
constexpr int64_t kBucketElements = 300;
constexpr int64_t kSettled = 3;  // steps after which queues and caches have their size

// Those that updates are made from.
int64_t SamplesOfAStep(const RunSpec& spec) {
  return 4 * (kWorkers - spec.strategy().parameter_server().backup_workers());
}

RunSpec SpecOf(const std::string& arm) {
  RunSpec base = GroupSpec(kWorkers, 0.1f);
  base.mutable_training()->set_steps(kSteps);
  base.mutable_training()->set_batch_per_worker(4);
  RunSpec spec = *MakeArm(arm, base);
  ExchangeOften(&spec);
  // A drain is after every step here, and steps alone end with it.
  if (spec.strategy().parameter_server().has_local_steps())
    spec.mutable_strategy()->mutable_parameter_server()->set_local_steps(1);
  spec.mutable_training()->set_evaluate_every_samples(2 * SamplesOfAStep(spec));
  return spec;
}

void Gradient(int32_t rank, int64_t step, const Bucket& bucket, absl::Span<float> out) {
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = std::sin(static_cast<float>(1 + rank + 10 * step) *
                      static_cast<float>(bucket.begin + static_cast<int64_t>(i)));
  }
}

Floats Copy(absl::Span<const float> values) { return {values.begin(), values.end()}; }

bool HasMarks(const ArmUnderTest& arm) {
  return Exchanges(arm) && arm.traits.replicas != Replicas::kIndependent && arm.traits.workers == 2;
}

class EveryArm : public testing::TestWithParam<std::string> {};

// Every step is a barrier here, so that the weights after it are known: those that a drain brings.
TEST_P(EveryArm, RecallsTheWeightsThatADrainAtTheMarkBrought) {
  StrategyGroup group(SpecOf(GetParam()), Floats(kCount, 1.0f), kBucketElements);
  group.StartServers();
  std::vector<Floats> after = {Floats(kCount, 1.0f)};  // by steps
  std::vector<Clock::time_point> begun;                // by step
  for (int64_t step = 0; step < kSteps; ++step) {
    begun.push_back(Clock::now());
    ASSERT_EQ(group.OnWorkers([step](GroupWorker& worker) { return worker.Step(step, Gradient); }),
              absl::OkStatus());
    ASSERT_EQ(group.OnWorkers([](GroupWorker& worker) { return worker.strategy().Drain(); }),
              absl::OkStatus());
    const WeightsView model = group.worker(0).strategy().ModelWeights();
    after.push_back(Copy(model.host()));
  }
  const std::vector<SampleMark> marks = SampleMarks(group.spec());
  ASSERT_EQ(marks.size(), 4u);
  const absl::Status recalled = group.OnWorkers([&](GroupWorker& worker) -> absl::Status {
    for (size_t mark = 0; mark < marks.size(); ++mark) {
      const auto model = worker.strategy().Recall(static_cast<int32_t>(mark));
      if (!model.ok()) return model.status();
      const int64_t steps = marks[mark].samples / SamplesOfAStep(group.spec());
      EXPECT_EQ(Copy(model->weights.host()), after[steps])
          << "mark " << mark << " at worker/" << worker.rank();
      EXPECT_GE(model->passed, begun[steps - 1]) << "mark " << mark;
      EXPECT_LE(model->passed, Clock::now()) << "mark " << mark;
    }
    return absl::OkStatus();
  });
  EXPECT_EQ(recalled, absl::OkStatus());
}

// Steps of a run in which a step thread allocated, once all had settled.
int32_t AllocatingSteps(const std::string& arm) {
  StrategyGroup group(SpecOf(arm), Floats(kCount, 1.0f), kBucketElements);
  group.StartServers();
  std::atomic<int32_t> steps{0};
  const absl::Status stepped = group.OnWorkers([&steps](GroupWorker& worker) -> absl::Status {
    for (int64_t step = 0; step < kSteps; ++step) {
      const int64_t before = ThreadAllocations();
      const absl::Status done = worker.Step(step, Gradient);
      if (!done.ok()) return done;
      // the argument's own is one
      if (step >= kSettled && ThreadAllocations() - before > 1) ++steps;
    }
    return worker.strategy().Drain();
  });
  EXPECT_EQ(stepped, absl::OkStatus());
  return steps;
}

// A queue between threads may still grow in a run in which one thread gets further ahead than ever.
// What allocates in every step of a mark does so in all runs.
TEST_P(EveryArm, AllocatesNothingInTheStepOfAMark) {
  int32_t fewest = AllocatingSteps(GetParam());
  for (int again = 0; again < 4 && fewest > 0; ++again)
    fewest = std::min(fewest, AllocatingSteps(GetParam()));
  EXPECT_EQ(fewest, 0);
}

INSTANTIATE_TEST_SUITE_P(Recall, EveryArm, testing::ValuesIn(ArmsThat(HasMarks)),
                         [](const auto& info) { return TestName(info.param); });

}  // namespace
}  // namespace ringmaster
