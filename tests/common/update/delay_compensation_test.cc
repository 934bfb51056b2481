#include "common/update/delay_compensation.h"

#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "common/base/random.h"
#include "gtest/gtest.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {
namespace {

using Floats = std::vector<float>;

constexpr int64_t kCount = 2500;  // more than two blocks

std::unique_ptr<UpdateRule> Sgd(float rate, std::vector<Range> statistics = {}) {
  OptimizerSpec spec;
  spec.set_name("sgd");
  spec.set_learning_rate(rate);
  return *CreateUpdateRule(spec, {kCount, 1, std::move(statistics)});
}

Floats Draw(uint64_t seed) {
  Random random(seed);
  Floats values(kCount);
  for (float& value : values) value = random.Normal();
  return values;
}

// Three updates; each is read three updates of a kind ago.
Floats Updated(UpdateRule* rule) {
  Floats weights = Draw(9);
  for (int64_t update = 0; update < 3; ++update) {
    const Floats gradient = Draw(update), read = Draw(10 + update);
    UpdateStep step;
    step.update = update;
    step.read = read;
    rule->Apply(step, gradient, absl::MakeSpan(weights));
  }
  return weights;
}

// The formulae of the paper, in double precision, for gradients that carry 1/N.
std::vector<double> Expected(const DelayCompensation& compensation) {
  const Floats initial = Draw(9);
  std::vector<double> weights(initial.begin(), initial.end()), mean(kCount, 0);
  const double n = compensation.workers;
  for (uint64_t update = 0; update < 3; ++update) {
    const Floats pushed = Draw(update), read = Draw(10 + update);
    for (int64_t i = 0; i < kCount; ++i) {
      const double g = n * pushed[i];
      mean[i] = compensation.decay * mean[i] + (1 - compensation.decay) * g * g;
      const double lambda = compensation.adaptive ? compensation.lambda / std::sqrt(mean[i] + 1e-7)
                                                  : compensation.lambda;
      weights[i] -= 0.1 / n * (g + lambda * g * g * (weights[i] - read[i]));
    }
  }
  return weights;
}

TEST(DelayCompensation, IsThePapersWhateverTheNumberOfWorkers) {
  for (const int32_t workers : {1, 4, 7}) {
    for (const bool adaptive : {false, true}) {
      const DelayCompensation compensation{adaptive ? 2.0 : 0.04, adaptive, adaptive ? 0.95 : 0,
                                           workers};
      const auto rule = Compensate(Sgd(0.1f), compensation, kCount, {});
      const Floats weights = Updated(rule.get());
      const std::vector<double> expected = Expected(compensation);
      for (int64_t i = 0; i < kCount; ++i) {
        ASSERT_NEAR(weights[i], expected[i], 3e-5 * (1 + std::abs(expected[i])))
            << "N=" << workers << " adaptive=" << adaptive << " element " << i;
      }
    }
  }
}

TEST(DelayCompensation, WithoutALambdaHasTheBitsOfTheRuleInside) {
  const auto plain = Sgd(0.1f);
  for (const bool adaptive : {false, true}) {
    const auto rule = Compensate(Sgd(0.1f), {0, adaptive, adaptive ? 0.9 : 0, 3}, kCount, {});
    EXPECT_EQ(Updated(rule.get()), Updated(plain.get()));
  }
}

TEST(DelayCompensation, LeavesRunningStatisticsAsTheyCome) {
  // Over the border of two blocks.
  const std::vector<Range> statistics = {{3, 2}, {1020, 10}};
  const auto plain = Sgd(0.1f, statistics);
  const auto rule = Compensate(Sgd(0.1f, statistics), {0.5, false, 0, 2}, kCount, statistics);
  const Floats weights = Updated(rule.get()), expected = Updated(plain.get());
  for (const Range& range : statistics) {
    for (int64_t i = range.begin; i < range.end(); ++i) EXPECT_EQ(weights[i], expected[i]) << i;
  }
  EXPECT_NE(weights[2], expected[2]);
  EXPECT_NE(weights[1030], expected[1030]);
}

TEST(DelayCompensation, GivesItsMeanOfSquaresAndGoesOnWithIt) {
  const auto make = [] { return Compensate(Sgd(0.1f), {2, true, 0.95, 2}, kCount, {}); };
  const auto before = make(), after = make(), fresh = make();
  Updated(before.get());
  ASSERT_TRUE(after->Take(before->Give()).ok());
  const Floats expected = Updated(before.get());
  EXPECT_EQ(Updated(after.get()), expected);
  EXPECT_NE(Updated(fresh.get()), expected);
  const auto constant = Compensate(Sgd(0.1f), {2, false, 0, 2}, kCount, {});
  EXPECT_FALSE(constant->Take(before->Give()).ok());
}

TEST(AttractRule, GoesItsShareOfTheWayToWhatIsPushedWhateverTheStep) {
  const auto rule = CreateAttractRule(3, 0.25f);
  Floats weights = {1, 2, 3};
  UpdateStep step;
  step.begin = 1;
  step.samples_seen = 1000;
  rule->Apply(step, Floats{6, -1}, absl::MakeSpan(weights).subspan(1));
  EXPECT_EQ(weights, (Floats{1, 3, 2}));
  EXPECT_FALSE(rule->clips());
  EXPECT_TRUE(rule->Give().entries().empty());
  EXPECT_DEATH(CreateAttractRule(3, 1), "share");
}

TEST(AddRule, AddsStatisticsAndAllWhateverTheStep) {
  const auto rule = CreateAddRule(3);
  Floats weights = {1, 2, 3};
  UpdateStep step;
  step.begin = 1;
  step.samples_seen = 1000;
  rule->Apply(step, Floats{0.5f, -4}, absl::MakeSpan(weights).subspan(1));
  EXPECT_EQ(weights, (Floats{1, 2.5f, -1}));
  EXPECT_FALSE(rule->clips());
  EXPECT_TRUE(rule->Give().entries().empty());
}

}  // namespace
}  // namespace ringmaster
