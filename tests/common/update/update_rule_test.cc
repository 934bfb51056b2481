#include "common/update/update_rule.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <vector>

#include "absl/strings/match.h"
#include "common/base/partition.h"
#include "common/base/random.h"
#include "common/update/learning_rate.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

OptimizerSpec Sgd(float rate) {
  OptimizerSpec spec;
  spec.set_name("sgd");
  spec.set_learning_rate(rate);
  return spec;
}

OptimizerSpec Momentum(float rate, float momentum) {
  OptimizerSpec spec = Sgd(rate);
  spec.set_name("momentum");
  spec.set_momentum(momentum);
  return spec;
}

std::unique_ptr<UpdateRule> Create(const OptimizerSpec& spec, int64_t count) {
  absl::StatusOr<std::unique_ptr<UpdateRule>> rule = CreateUpdateRule(spec, {count});
  EXPECT_TRUE(rule.ok()) << rule.status();
  return *std::move(rule);
}

// On f = a*x^2/2 plain descent gives x[n] = (1 - rate*a)^n * x[0].
TEST(UpdateRule, SgdOnAQuadraticFollowsTheClosedForm) {
  const std::vector<float> a = {0.5f, 1.0f, 3.0f};
  std::vector<float> x = {4.0f, -2.0f, 1.0f};
  const std::vector<float> start = x;
  auto rule = Create(Sgd(0.1f), 3);
  for (int step = 0; step < 50; ++step) {
    std::vector<float> gradient(3);
    for (int i = 0; i < 3; ++i) gradient[i] = a[i] * x[i];
    rule->Apply({0, step * 64}, gradient, absl::MakeSpan(x));
  }
  for (int i = 0; i < 3; ++i) {
    const double expected = start[i] * std::pow(1 - 0.1 * a[i], 50);
    // 50 steps of three roundings each, relative 2^-24.
    EXPECT_NEAR(x[i], expected, 150 * 0x1p-24 * std::fabs(start[i])) << i;
  }
}

// On f = a*x^2/2, (x, v) is a linear recurrence whose matrix can be applied in double precision.
TEST(UpdateRule, MomentumOnAQuadraticFollowsThePyTorchRecurrence) {
  std::vector<float> x = {1.0f};
  double expected = 1.0, velocity = 0.0;
  auto rule = Create(Momentum(0.1f, 0.9f), 1);
  for (int step = 0; step < 100; ++step) {
    const std::vector<float> gradient = {2.0f * x[0]};
    rule->Apply({0, step}, gradient, absl::MakeSpan(x));
    velocity = 0.9 * velocity + 2.0 * expected;
    expected -= 0.1 * velocity;
    ASSERT_NEAR(x[0], expected, 1e-5) << step;
  }
  EXPECT_LT(std::fabs(x[0]), 0.1f);
}

// x[n+1] = (1 + momentum - rate*a) x[n] - momentum x[n-1] on f = a*x^2/2, so x[n] is a sum of powers of the roots of
// z^2 - (1 + momentum - rate*a) z + momentum.
double MomentumAt(double a, double rate, double momentum, int n) {
  const std::complex<double> b = 1 + momentum - rate * a;
  const std::complex<double> root = std::sqrt(b * b - 4 * momentum);
  const std::complex<double> z = (b + root) / 2.0, w = (b - root) / 2.0;
  const double first = 1 - rate * a;  // x[1], from x[0] = 1
  const std::complex<double> share = (first - w) / (z - w);
  return (share * std::pow(z, n) + (1.0 - share) * std::pow(w, n)).real();
}

// The largest distance from the closed form over 60 steps, for slow, oscillating and stiff directions.
double LargestMomentumError(float rate, double expected_rate) {
  const std::vector<float> a = {0.01f, 0.5f, 2.0f, 20.0f};
  std::vector<float> x(a.size(), 1.0f);
  auto rule = Create(Momentum(rate, 0.9f), static_cast<int64_t>(a.size()));
  double largest = 0;
  for (int step = 1; step <= 60; ++step) {
    std::vector<float> gradient(a.size());
    for (size_t i = 0; i < a.size(); ++i) gradient[i] = a[i] * x[i];
    rule->Apply({0, step}, gradient, absl::MakeSpan(x));
    for (size_t i = 0; i < a.size(); ++i) {
      largest = std::max(largest, std::fabs(x[i] - MomentumAt(a[i], expected_rate, 0.9f, step)));
    }
  }
  return largest;
}

TEST(UpdateRule, MomentumOnAQuadraticFollowsTheClosedForm) {
  // 60 steps of five roundings of numbers of at most 4, which the recurrence may carry on ten times over.
  constexpr double kBound = 60 * 5 * 4 * 10 * 0x1p-24;
  EXPECT_LT(LargestMomentumError(0.1f, 0.1f), kBound);
  EXPECT_GT(LargestMomentumError(0.1f, 0.101f), kBound) << "a rate 1 % off must show";
}

// Why momentum is for synchronous arms: N halves on arrival are not one whole.
TEST(UpdateRule, WithMomentumNUpdatesOnArrivalAreNotOneUpdateOfTheMean) {
  const std::vector<float> whole = {1.0f};
  const std::vector<float> half = {0.5f};
  std::vector<float> by_mean = {0.0f};
  std::vector<float> on_arrival = {0.0f};
  auto mean_rule = Create(Momentum(0.25f, 0.9f), 1);
  auto arrival_rule = Create(Momentum(0.25f, 0.9f), 1);
  for (int step = 0; step < 3; ++step) {
    mean_rule->Apply({}, whole, absl::MakeSpan(by_mean));
    for (int worker = 0; worker < 2; ++worker) arrival_rule->Apply({}, half, absl::MakeSpan(on_arrival));
  }
  EXPECT_NEAR(by_mean[0], -1.4025, 1e-5);
  EXPECT_NEAR(on_arrival[0], -2.22871, 1e-5);
}

TEST(UpdateRule, WithPlainSgdNUpdatesOnArrivalAreOneUpdateOfTheMean) {
  std::vector<float> by_mean = {0.0f};
  std::vector<float> on_arrival = {0.0f};
  auto rule = Create(Sgd(0.25f), 1);
  for (int step = 0; step < 3; ++step) {
    rule->Apply({}, std::vector<float>{1.0f}, absl::MakeSpan(by_mean));
    for (int worker = 0; worker < 2; ++worker) rule->Apply({}, std::vector<float>{0.5f}, absl::MakeSpan(on_arrival));
  }
  EXPECT_EQ(by_mean[0], -0.75f);
  EXPECT_EQ(on_arrival[0], -0.75f);
}

TEST(UpdateRule, CuttingTheWeightsIntoSlicesDoesNotChangeABit) {
  constexpr int64_t kCount = 1003;
  const uint64_t seed = 7;
  for (const OptimizerSpec& spec : {Sgd(0.3f), Momentum(0.3f, 0.9f)}) {
    Random random(seed);
    std::vector<float> whole(kCount);
    for (float& value : whole) value = random.Normal();
    std::vector<float> cut = whole;
    auto whole_rule = Create(spec, kCount);
    auto cut_rule = Create(spec, kCount);
    for (int step = 0; step < 5; ++step) {
      std::vector<float> gradient(kCount);
      for (float& value : gradient) value = random.Normal();
      whole_rule->Apply({0, step}, gradient, absl::MakeSpan(whole));
      for (int32_t k = 6; k >= 0; --k) {
        const Range range = Part(kCount, 7, k);
        cut_rule->Apply({range.begin, step}, absl::MakeConstSpan(gradient).subspan(range.begin, range.count),
                        absl::MakeSpan(cut).subspan(range.begin, range.count));
      }
    }
    EXPECT_EQ(whole, cut) << spec.name() << " seed " << seed;
  }
}

TEST(LearningRate, DropsExactlyAfterEverySamples) {
  OptimizerSpec spec = Sgd(0.5f);
  spec.mutable_step_schedule()->set_every_samples(1000);
  spec.mutable_step_schedule()->set_factor(0.5f);
  const absl::StatusOr<LearningRate> rate = LearningRate::Create(spec, 1);
  ASSERT_TRUE(rate.ok()) << rate.status();
  EXPECT_EQ(rate->At(0), 0.5f);
  EXPECT_EQ(rate->At(999), 0.5f);
  EXPECT_EQ(rate->At(1000), 0.25f);
  EXPECT_EQ(rate->At(1999), 0.25f);
  EXPECT_EQ(rate->At(5000), 0x1p-6f);
  EXPECT_EQ(rate->At(int64_t{1} << 60), 0.0f);
}

TEST(LearningRate, OfTheUpdateFollowsSamplesSeenNotTheNumberOfUpdates) {
  OptimizerSpec spec = Sgd(1.0f);
  spec.mutable_step_schedule()->set_every_samples(10);
  spec.mutable_step_schedule()->set_factor(0.5f);
  auto rule = Create(spec, 1);
  std::vector<float> weights = {0.0f};
  const std::vector<float> gradient = {1.0f};
  for (int i = 0; i < 3; ++i) rule->Apply({0, 9}, gradient, absl::MakeSpan(weights));
  EXPECT_EQ(weights[0], -3.0f);
  rule->Apply({0, 20}, gradient, absl::MakeSpan(weights));
  EXPECT_EQ(weights[0], -3.25f);
}

TEST(UpdateRule, NamesTheFieldThatIsWrong) {
  const auto error = [](const OptimizerSpec& spec) {
    const absl::Status status = CreateUpdateRule(spec, {1}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  OptimizerSpec spec = Sgd(0.1f);
  spec.set_name("adma");
  EXPECT_TRUE(absl::StrContains(error(spec), "optimizer.name \"adma\"")) << error(spec);
  spec = Sgd(0.1f);
  spec.clear_learning_rate();
  EXPECT_TRUE(absl::StrContains(error(spec), "optimizer.learning_rate is missing")) << error(spec);
  for (const float rate : {0.0f, -0.1f, INFINITY, NAN}) {
    EXPECT_TRUE(absl::StrContains(error(Sgd(rate)), "optimizer.learning_rate")) << rate;
  }
  for (const float momentum : {-0.1f, 1.0f, NAN}) {
    EXPECT_TRUE(absl::StrContains(error(Momentum(0.1f, momentum)), "optimizer.momentum")) << momentum;
  }
  spec = Momentum(0.1f, 0.9f);
  spec.clear_momentum();
  EXPECT_TRUE(absl::StrContains(error(spec), "optimizer.momentum is missing")) << error(spec);
  spec = Sgd(0.1f);
  spec.mutable_step_schedule()->set_factor(0.5f);
  EXPECT_TRUE(absl::StrContains(error(spec), "every_samples 0")) << error(spec);
  spec.mutable_step_schedule()->set_every_samples(5);
  spec.mutable_step_schedule()->set_factor(1.5f);
  EXPECT_TRUE(absl::StrContains(error(spec), "step_schedule.factor 1.5")) << error(spec);
}

}  // namespace
}  // namespace ringmaster
