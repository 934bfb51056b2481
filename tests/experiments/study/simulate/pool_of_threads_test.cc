// Gradients that a pool of threads computes while a simulation goes on, and while marks are scored.
// Run under the thread sanitizer too.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "experiments/study/simulate/model_gradients.h"
#include "gtest/gtest.h"
#include "tests/experiments/study/simulate/same_as_real.h"
#include "tests/fairness/specs.h"
#include "tests/support/arms.h"
#include "worker/data/dataset.h"
#include "worker/loop/initial_weights.h"

namespace ringmaster {
namespace {

constexpr int32_t kRanks = 5;
constexpr int32_t kSteps = 4;

// Of all ranks' steps, by rank and then step, each rank's computed from weights that it changes
// after every step.
struct Computed {
  std::vector<double> losses;
  std::vector<std::vector<float>> gradients;
  double score = 0;
};

Computed Compute(const RunSpec& spec, const Dataset& dataset, int32_t threads) {
  const auto source = ModelGradients::Create(spec, dataset, threads);
  EXPECT_TRUE(source.ok()) << source.status();
  ModelGradients& pool = **source;
  const auto initial = InitialWeights(spec, pool.model());
  EXPECT_TRUE(initial.ok()) << initial.status();
  Computed all;
  all.losses.resize(kRanks * kSteps);
  all.gradients.assign(kRanks * kSteps, std::vector<float>(initial->size()));
  std::vector<std::vector<float>> weights(kRanks, *initial);
  const auto start = [&](int32_t rank, int64_t step) {
    pool.Start({rank, step, step * kRanks + rank, weights[rank],
                absl::MakeSpan(all.gradients[rank * kSteps + step])});
  };
  for (int32_t rank = 0; rank < kRanks; ++rank) start(rank, 0);
  for (int64_t step = 0; step < kSteps; ++step) {
    for (int32_t rank = kRanks - 1; rank >= 0; --rank) {
      const absl::StatusOr<double> loss = pool.Await(rank);
      EXPECT_TRUE(loss.ok()) << loss.status();
      all.losses[rank * kSteps + step] = *loss;
      const std::vector<float>& gradient = all.gradients[rank * kSteps + step];
      for (size_t i = 0; i < gradient.size(); ++i) weights[rank][i] -= 0.1f * gradient[i];
      if (step + 1 < kSteps) start(rank, step + 1);
    }
    // While others compute.
    all.score += pool.Score(dataset.test, dataset.test.count(), *initial)->loss_sum;
  }
  return all;
}

TEST(PoolOfThreads, ComputesTheBitsOfOneThread) {
  const RunSpec spec = ArmOf("ring", SmallSpec(kRanks, /*exact_sums=*/false));
  const auto dataset = LoadDataset(spec.data());
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  const Computed one = Compute(spec, *dataset, 1);
  const Computed four = Compute(spec, *dataset, 4);
  EXPECT_EQ(one.losses, four.losses);
  EXPECT_EQ(one.gradients, four.gradients);
  EXPECT_EQ(one.score, four.score);
  // What was computed differs: no task was made of another's.
  std::vector<std::vector<float>> distinct = one.gradients;
  std::sort(distinct.begin(), distinct.end());
  EXPECT_EQ(std::unique(distinct.begin(), distinct.end()), distinct.end());
}

TEST(PoolOfThreads, EndsWithTasksThatNobodyAwaits) {
  const RunSpec spec = ArmOf("ring", SmallSpec(kRanks, /*exact_sums=*/false));
  const auto dataset = LoadDataset(spec.data());
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  auto pool = ModelGradients::Create(spec, *dataset, 2);
  ASSERT_TRUE(pool.ok()) << pool.status();
  const auto weights = InitialWeights(spec, (*pool)->model());
  std::vector<std::vector<float>> gradients(kRanks, std::vector<float>(weights->size()));
  for (int32_t rank = 0; rank < kRanks; ++rank)
    (*pool)->Start({rank, 0, rank, *weights, absl::MakeSpan(gradients[rank])});
  EXPECT_TRUE((*pool)->Await(0).ok());
  pool->reset();
}

TEST(PoolOfThreads, RepeatsRunsToTheBit) {
  const auto is_wanted = [](const ArmUnderTest& arm) {
    return RunsEverywhere(arm) && !IsSynchronousAndLearns(arm) &&
           CheckSimulatable(OnNetwork(arm.spec), Learning()).ok();
  };
  for (const std::string& arm : ArmsThat(is_wanted)) {
    SCOPED_TRACE(arm);
    RunSpec base = SmallSpec(3, /*exact_sums=*/false);
    base.clear_codec();
    const RunSpec spec = OnNetwork(ArmOf(arm, base));
    SimulationOptions options = Learning();
    options.compute.sigma = 0.3;
    const RunRecord one = SimulateRun(spec, options);
    options.threads = 3;
    const RunRecord three = SimulateRun(spec, options);
    ASSERT_EQ(one.status(), "ok");
    ASSERT_EQ(one.reports_size(), three.reports_size());
    for (int process = 0; process < one.reports_size(); ++process)
      EXPECT_EQ(one.reports(process).DebugString(), three.reports(process).DebugString());
    RunSpec other = spec;
    other.mutable_training()->set_seed(spec.training().seed() + 1);
    EXPECT_NE(ReportOf(SimulateRun(other, options), 0).weights_sha256(),
              ReportOf(one, 0).weights_sha256());
  }
}

}  // namespace
}  // namespace ringmaster
