#include "common/update/update_rule.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "common/base/partition.h"
#include "common/base/random.h"
#include "gtest/gtest.h"
#include "tests/common/update/optimizer_specs.h"

namespace ringmaster {
namespace {

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

OptimizerSpec Named(const char* name) {
  OptimizerSpec spec = Sgd(0.05f);
  spec.set_name(name);
  if (spec.name() == "momentum" || spec.name() == "nesterov") spec.set_momentum(0.9f);
  if (spec.name() == "adam" || spec.name() == "adamw") {
    spec.set_beta1(0.9f);
    spec.set_beta2(0.999f);
    spec.set_epsilon(1e-8f);
  }
  return spec;
}

OptimizerSpec WithDecay(OptimizerSpec spec, float decay) {
  spec.set_weight_decay(decay);
  return spec;
}

OptimizerSpec WithClip(OptimizerSpec spec, float norm) {
  spec.set_clip_norm(norm);
  return spec;
}

OptimizerSpec CoarseAdam() {
  OptimizerSpec spec = WithDecay(Named("adam"), 0.1f);
  spec.set_beta1(0.8f);
  spec.set_beta2(0.99f);
  spec.set_epsilon(0.125f);
  return spec;
}

// Ten gradients that are multiples of an eighth.
std::vector<float> GoldenGradient(int step) {
  std::vector<float> gradient(4);
  for (int i = 0; i < 4; ++i)
    gradient[i] = static_cast<float>((step * 7 + i * 3) % 11 - 5) * 0.125f * (i + 1);
  return gradient;
}

struct Golden {
  OptimizerSpec spec;
  std::vector<float> weights;
};

// Weights after ten steps from (1, -2, 0.5, 3). Made with PyTorch 1.13: torch.optim.SGD, Adam and
// AdamW on one parameter of four floats, with these rates and factors converted to float first,
// torch.nn.utils.clip_grad_norm_ before each step where there is a clip_norm, printed with nine
// digits.
std::vector<Golden> GoldenCases() {
  return {
      {WithDecay(Named("sgd"), 0.01f), {0.988723874f, -1.9648726f, 0.591199398f, 2.91013336f}},
      {Named("momentum"), {1.02539802f, -2.17328954f, 0.701167285f, 2.85701132f}},
      {WithDecay(Named("momentum"), 0.1f), {0.818806231f, -1.76357412f, 0.603665352f, 2.29034042f}},
      {WithDecay(Named("nesterov"), 0.1f), {0.783751488f, -1.66555381f, 0.663865626f, 2.16387916f}},
      {Named("adam"), {1.06760228f, -2.02847981f, 0.490593851f, 2.92221665f}},
      {CoarseAdam(), {0.959830642f, -1.92416489f, 0.490708858f, 2.8692646f}},
      {WithDecay(Named("adamw"), 0.5f), {0.828745782f, -1.57960522f, 0.386336684f, 2.26689672f}},
      {WithClip(WithDecay(Named("adamw"), 0.1f), 0.75f),
       {0.957431316f, -1.92632353f, 0.523763001f, 2.74118066f}},
      {WithClip(Named("nesterov"), 0.75f), {0.949098289f, -2.03624797f, 0.715770185f, 2.81879354f}},
  };
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

// x[n+1] = (1 + momentum - rate*a) x[n] - momentum x[n-1] on f = a*x^2/2, so x[n] is a sum of
// powers of the roots of z^2 - (1 + momentum - rate*a) z + momentum.
double MomentumAt(double a, double rate, double momentum, int n) {
  const std::complex<double> b = 1 + momentum - rate * a;
  const std::complex<double> root = std::sqrt(b * b - 4 * momentum);
  const std::complex<double> z = (b + root) / 2.0, w = (b - root) / 2.0;
  const double first = 1 - rate * a;  // x[1], from x[0] = 1
  const std::complex<double> share = (first - w) / (z - w);
  return (share * std::pow(z, n) + (1.0 - share) * std::pow(w, n)).real();
}

// The largest distance from the closed form over 60 steps, for slow, oscillating and stiff
// directions.
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
  // 60 steps of five roundings of numbers of at most 4, which the recurrence may carry on ten times
  // over.
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
    for (int worker = 0; worker < 2; ++worker)
      arrival_rule->Apply({}, half, absl::MakeSpan(on_arrival));
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
    for (int worker = 0; worker < 2; ++worker)
      rule->Apply({}, std::vector<float>{0.5f}, absl::MakeSpan(on_arrival));
  }
  EXPECT_EQ(by_mean[0], -0.75f);
  EXPECT_EQ(on_arrival[0], -0.75f);
}

TEST(UpdateRule, CuttingTheWeightsIntoSlicesDoesNotChangeABit) {
  constexpr int64_t kCount = 3003;
  const uint64_t seed = 7;
  for (const Golden& golden : GoldenCases()) {
    const OptimizerSpec& spec = golden.spec;
    Random random(seed);
    std::vector<float> whole(kCount);
    for (float& value : whole) value = random.Normal();
    std::vector<float> cut = whole;
    auto whole_rule = Create(spec, kCount);
    auto cut_rule = Create(spec, kCount);
    for (int step = 0; step < 5; ++step) {
      std::vector<float> gradient(kCount);
      for (float& value : gradient) value = random.Normal();
      whole_rule->Apply({0, step, step, 0.7f}, gradient, absl::MakeSpan(whole));
      for (int32_t k = 6; k >= 0; --k) {
        const Range range = Part(kCount, 7, k);
        cut_rule->Apply({range.begin, step, step, 0.7f},
                        absl::MakeConstSpan(gradient).subspan(range.begin, range.count),
                        absl::MakeSpan(cut).subspan(range.begin, range.count));
      }
    }
    EXPECT_EQ(whole, cut) << spec.name() << " seed " << seed;
  }
}

TEST(UpdateRule, AgreesWithPyTorchAfterTenSteps) {
  for (const Golden& golden : GoldenCases()) {
    auto rule = Create(golden.spec, 4);
    std::vector<float> weights = {1.0f, -2.0f, 0.5f, 3.0f};
    for (int step = 0; step < 10; ++step) {
      const std::vector<float> gradient = GoldenGradient(step);
      const float clip = rule->ClipFactor(rule->SumOfSquares(0, gradient));
      EXPECT_EQ(clip < 1, golden.spec.has_clip_norm())
          << golden.spec.ShortDebugString() << " step " << step;
      rule->Apply({0, step, step, clip}, gradient, absl::MakeSpan(weights));
    }
    for (int i = 0; i < 4; ++i) {
      // Ten steps of at most ten roundings of numbers of at most 4, in another order there than
      // here.
      EXPECT_NEAR(weights[i], golden.weights[i], 10 * 10 * 0x1p-24)
          << golden.spec.ShortDebugString() << " " << i;
    }
  }
}

// All rules in double precision, from their definitions.
class Oracle {
 public:
  Oracle(const OptimizerSpec& spec, std::vector<float> start)
      : spec_(spec),
        weights_(start.begin(), start.end()),
        first_(start.size(), 0.0),
        second_(start.size(), 0.0) {}

  void Step(int t, double rate, const std::vector<float>& gradient) {
    double squares = 0;
    for (const float g : gradient) squares += double{g} * g;
    const double clip = spec_.has_clip_norm()
                            ? std::min(1.0, spec_.clip_norm() / (std::sqrt(squares) + 1e-6))
                            : 1.0;
    for (size_t i = 0; i < gradient.size(); ++i) {
      double& w = weights_[i];
      double g = clip * gradient[i];
      const bool adamw = spec_.name() == "adamw";
      if (adamw) w *= 1 - rate * spec_.weight_decay();
      if (!adamw) g += spec_.weight_decay() * w;
      w -= rate * Direction(t, i, g);
    }
  }
  const std::vector<double>& weights() const { return weights_; }

 private:
  double Direction(int t, size_t i, double g) {
    if (spec_.name() == "sgd") return g;
    if (spec_.has_momentum()) {
      first_[i] = spec_.momentum() * first_[i] + g;
      return spec_.name() == "nesterov" ? g + spec_.momentum() * first_[i] : first_[i];
    }
    const double beta1 = spec_.beta1(), beta2 = spec_.beta2();
    first_[i] = beta1 * first_[i] + (1 - beta1) * g;
    second_[i] = beta2 * second_[i] + (1 - beta2) * g * g;
    return first_[i] / (1 - std::pow(beta1, t)) /
           (std::sqrt(second_[i] / (1 - std::pow(beta2, t))) + spec_.epsilon());
  }

  const OptimizerSpec spec_;
  std::vector<double> weights_, first_, second_;
};

TEST(UpdateRule, FollowsItsDefinitionInDoublePrecision) {
  constexpr int64_t kCount = 1500;  // more than a block
  const uint64_t seed = 23;
  for (const Golden& golden : GoldenCases()) {
    Random random(seed);
    std::vector<float> weights(kCount);
    for (float& value : weights) value = random.Normal();
    Oracle oracle(golden.spec, weights);
    auto rule = Create(golden.spec, kCount);
    for (int step = 0; step < 50; ++step) {
      std::vector<float> gradient(kCount);
      for (float& value : gradient) value = random.Normal();
      rule->Apply({0, step, step, rule->ClipFactor(rule->SumOfSquares(0, gradient))}, gradient,
                  absl::MakeSpan(weights));
      oracle.Step(step + 1, 0.05f, gradient);
    }
    double largest = 0;
    for (int64_t i = 0; i < kCount; ++i)
      largest = std::max(largest, std::fabs(weights[i] - oracle.weights()[i]));
    // 50 steps of ten roundings of numbers below 8.
    EXPECT_LT(largest, 50 * 10 * 8 * 0x1p-25) << golden.spec.ShortDebugString() << " seed " << seed;
  }
}

TEST(UpdateRule, ClipsToTheNormOfWhatIsTrainedAndOnlyDownwards) {
  auto rule = CreateUpdateRule(WithClip(Sgd(1.0f), 2.0f), {5, 1, {{1, 2}}});
  ASSERT_TRUE(rule.ok()) << rule.status();
  EXPECT_TRUE((*rule)->clips());
  const std::vector<float> gradient = {3.0f, 100.0f, -100.0f, 0.0f, 4.0f};
  const double squares = (*rule)->SumOfSquares(0, gradient);
  EXPECT_EQ(squares, 25.0);
  EXPECT_EQ((*rule)->SumOfSquares(2, std::vector<float>{100.0f, 2.0f}), 4.0);
  const float factor = (*rule)->ClipFactor(squares);
  EXPECT_EQ(factor, static_cast<float>(2.0 / (5.0 + 1e-6)));
  EXPECT_EQ((*rule)->ClipFactor(3.9), 1.0f);
  std::vector<float> weights(5, 0.0f);
  (*rule)->Apply({0, 0, 0, factor}, gradient, absl::MakeSpan(weights));
  EXPECT_EQ(weights, (std::vector<float>{-(factor * 3.0f), 10.0f, -10.0f, 0.0f, -(factor * 4.0f)}))
      << "statistics take the batch's value as it is";
  EXPECT_FALSE(Create(Sgd(1.0f), 1)->clips());
  EXPECT_EQ(Create(Sgd(1.0f), 1)->ClipFactor(1e30), 1.0f);
}

TEST(UpdateRule, StatisticsAreBlendedUnderEveryOptimizerHoweverSlicesAreCut) {
  const std::vector<Range> statistics = {{0, 2}, {5, 1}, {6, 1}, {9, 1}};
  for (const Golden& golden : GoldenCases()) {
    auto rule = CreateUpdateRule(golden.spec, {10, 1, statistics});
    auto plain = CreateUpdateRule(golden.spec, {10});
    ASSERT_TRUE(rule.ok() && plain.ok());
    std::vector<float> weights(10, 2.0f), trained(10, 2.0f);
    std::vector<float> gradient(10);
    for (int i = 0; i < 10; ++i) gradient[i] = static_cast<float>(i) - 4.0f;
    for (int step = 0; step < 2; ++step) {
      for (const Range& slice : {Range{0, 1}, Range{1, 5}, Range{6, 4}}) {
        (*rule)->Apply({slice.begin, step, step, 0.5f},
                       absl::MakeConstSpan(gradient).subspan(slice.begin, slice.count),
                       absl::MakeSpan(weights).subspan(slice.begin, slice.count));
      }
      (*plain)->Apply({0, step, step, 0.5f}, gradient, absl::MakeSpan(trained));
    }
    for (int i = 0; i < 10; ++i) {
      const bool is_statistic = i < 2 || i == 5 || i == 6 || i == 9;
      float expected = 2.0f;
      for (int step = 0; step < 2; ++step) expected = 0.9f * expected + 0.1f * gradient[i];
      EXPECT_EQ(weights[i], is_statistic ? expected : trained[i]) << golden.spec.name() << " " << i;
      EXPECT_NE(weights[i], is_statistic ? trained[i] : expected) << golden.spec.name() << " " << i;
    }
  }
}

// With updates on arrival every worker's share of the mean is an update of its own.
TEST(UpdateRule, NSharesOfAnUpdateDecayAndBlendLikeOneWhole) {
  const OptimizerSpec spec = WithDecay(Sgd(0.01f), 0.5f);
  for (const int workers : {1, 2, 8}) {
    auto rule = CreateUpdateRule(spec, {2, 1, {{1, 1}}});
    ASSERT_TRUE(rule.ok());
    std::vector<float> weights = {1.0f, 1.0f};
    const std::vector<float> gradient = {0.0f, 3.0f / static_cast<float>(workers)};
    for (int worker = 0; worker < workers; ++worker) {
      (*rule)->Apply({0, 0, worker, 1, 1.0f / static_cast<float>(workers)}, gradient,
                     absl::MakeSpan(weights));
    }
    // (1 - x/N)^N is within x^2/2 of 1 - x.
    EXPECT_NEAR(weights[0], 1 - 0.01 * 0.5, 0.005 * 0.005 / 2 + 1e-6) << workers;
    EXPECT_NEAR(weights[1], 0.9 + 0.1 * 3, 0.1 * 0.1 / 2 * 3) << workers;
  }
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
    EXPECT_TRUE(absl::StrContains(error(Momentum(0.1f, momentum)), "optimizer.momentum"))
        << momentum;
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
  spec.mutable_step_schedule()->set_factor(0.5f);
  spec.mutable_cosine_schedule()->set_total_samples(100);
  EXPECT_TRUE(absl::StrContains(error(spec), "step_schedule is set too; give one")) << error(spec);
  EXPECT_TRUE(absl::StrContains(error(Cosine(0.1f, 0, 0)), "cosine_schedule.total_samples 0"));
  EXPECT_TRUE(absl::StrContains(error(Cosine(0.1f, 10, 1.5f)), "cosine_schedule.floor 1.5"));
  EXPECT_TRUE(absl::StrContains(error(WithDecay(Sgd(0.1f), -1)), "optimizer.weight_decay -1"));
  EXPECT_TRUE(absl::StrContains(error(WithClip(Sgd(0.1f), 0)), "optimizer.clip_norm 0"));
  spec = Sgd(0.1f);
  spec.set_warmup_samples(-1);
  EXPECT_TRUE(absl::StrContains(error(spec), "optimizer.warmup_samples -1")) << error(spec);
  spec = Named("adam");
  spec.set_beta1(1.0f);
  EXPECT_TRUE(absl::StrContains(error(spec), "optimizer.beta1 1: expected")) << error(spec);
  spec = Named("adamw");
  spec.clear_beta2();
  EXPECT_TRUE(absl::StrContains(error(spec), "optimizer.beta2 is missing")) << error(spec);
  spec = Named("adam");
  spec.set_epsilon(0);
  EXPECT_TRUE(absl::StrContains(error(spec), "optimizer.epsilon 0: expected")) << error(spec);
}

// A rule of some ranges gives these elements the bits that a rule of all gives them, and keeps
// state of them alone.
TEST(UpdateRule, OfSomeRangesKeepsStateOfTheseAlone) {
  const std::vector<Range> ranges = {{3, 5}, {10, 1}, {17, 1030}};
  constexpr int64_t kElements = 1100;
  for (const OptimizerInfo& info : Optimizers()) {
    SCOPED_TRACE(info.name);
    UpdateScope scope;
    scope.count = kElements;
    scope.statistics = {{20, 4}};
    const auto whole = CreateUpdateRule(Named(info.name), scope);
    scope.updated = ranges;
    const auto some = CreateUpdateRule(Named(info.name), scope);
    ASSERT_TRUE(whole.ok() && some.ok());
    Random random(3);
    std::vector<float> weights(kElements, 1.0f), gradient(kElements);
    std::vector<float> expected = weights;
    for (int64_t step = 0; step < 4; ++step) {
      for (float& value : gradient) value = random.Normal();
      (*whole)->Apply({0, step, step}, gradient, absl::MakeSpan(expected));
      for (const Range& range : ranges) {
        // In two slices, the later one first.
        const int64_t middle = range.begin + range.count / 2;
        for (const Range& slice :
             {Range{middle, range.end() - middle}, Range{range.begin, middle - range.begin}}) {
          (*some)->Apply({slice.begin, step, step},
                         absl::MakeConstSpan(gradient).subspan(slice.begin, slice.count),
                         absl::MakeSpan(weights).subspan(slice.begin, slice.count));
        }
      }
    }
    for (const Range& range : ranges) {
      EXPECT_EQ(absl::MakeConstSpan(weights).subspan(range.begin, range.count),
                absl::MakeConstSpan(expected).subspan(range.begin, range.count));
    }
    EXPECT_EQ(weights[9], 1.0f);
    EXPECT_EQ((*some)->Give().bytes() * kElements, (*whole)->Give().bytes() * (5 + 1 + 1030));
    EXPECT_DEATH((*some)->Apply({7, 0, 0}, {1, 1}, absl::MakeSpan(weights).subspan(7, 2)), "");
  }
}

}  // namespace
}  // namespace ringmaster
