#include "common/update/update_rule.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/update/learning_rate.h"
#include "common/update/power.h"
#include "common/vecmath/vecmath.h"
#include "proto/optimizer_spec.pb.h"

namespace ringmaster {
namespace {

// Elements that are worked on at once: what is kept between two loops over them stays in the first
// cache.
constexpr size_t kBlock = 1024;

// What a value of one batch counts for in a running statistic. Source: PyTorch
// torch.nn.BatchNorm2d.
constexpr double kStatisticShare = 0.1;

// Everything but the optimizer's own loop: statistics, clipping, decay, blocks.
class Rule : public UpdateRule {
 public:
  // `decay`: what is added to the gradient; 0 for a rule that decays in its own way.
  Rule(LearningRate rate, float decay, double clip_norm, UpdateScope scope)
      : rate_(rate),
        decay_(decay),
        clip_norm_(clip_norm),
        scope_(std::move(scope)),
        updated_(scope_.updated.value_or(std::vector<Range>{{0, scope_.count}})),
        direction_(kBlock) {
    for (const Range& range : updated_) {
      states_before_.push_back(states_);
      states_ += range.count;
    }
  }

  void Apply(const UpdateStep& step, absl::Span<const float> gradient,
             absl::Span<float> weights) final {
    CheckSlice(step.begin, gradient.size());
    RM_CHECK(gradient.size() == weights.size());
    if (gradient.empty()) return;
    const float rate = rate_.At(step.samples_seen);
    const int64_t shift = ShiftOf(step.begin, gradient.size());
    ForEachRun(step.begin, gradient.size(), [&](const Range& run, bool is_statistic) {
      const absl::Span<const float> in = gradient.subspan(run.begin - step.begin, run.count);
      const absl::Span<float> out = weights.subspan(run.begin - step.begin, run.count);
      if (is_statistic) {
        Blend(static_cast<float>(1 - kStatisticShare * step.share),
              static_cast<float>(kStatisticShare), in, out);
      } else {
        Update(step, rate, run.begin - shift, in, out);
      }
    });
  }

  bool clips() const final { return clip_norm_ > 0; }

  double SumOfSquares(int64_t begin, absl::Span<const float> gradient) const final {
    CheckSlice(begin, gradient.size());
    double sum = 0;
    ForEachRun(begin, gradient.size(), [&](const Range& run, bool is_statistic) {
      if (!is_statistic)
        sum += ringmaster::SumOfSquares(gradient.subspan(run.begin - begin, run.count));
    });
    return sum;
  }

  float ClipFactor(double sum_of_squares) const final {
    if (!clips()) return 1;
    const double factor = clip_norm_ / (std::sqrt(sum_of_squares) + 1e-6);
    return factor < 1 ? static_cast<float>(factor) : 1;
  }

 protected:
  // One run of trained elements; the state of the first is at `begin` of the rule's arrays.
  virtual void Update(const UpdateStep& step, float rate, int64_t begin,
                      absl::Span<const float> gradient, absl::Span<float> weights) = 0;

  // Calls block(begin, g, weights) for every block of a run; g is clip * gradient + decay *
  // weights.
  template <typename Block>
  void ForEachBlock(const UpdateStep& step, int64_t begin, absl::Span<const float> gradient,
                    absl::Span<float> weights, Block block) {
    const float decay = decay_ * step.share;
    for (size_t offset = 0; offset < gradient.size(); offset += kBlock) {
      absl::Span<const float> g = gradient.subspan(offset, kBlock);
      const absl::Span<float> w = weights.subspan(offset, kBlock);
      if (decay != 0) {
        const absl::Span<float> direction = absl::MakeSpan(direction_).first(g.size());
        WeightedSum(step.clip, g, decay, w, direction);
        g = direction;
      } else if (step.clip != 1) {
        const absl::Span<float> direction = absl::MakeSpan(direction_).first(g.size());
        ScaleInto(step.clip, g, direction);
        g = direction;
      }
      block(begin + static_cast<int64_t>(offset), g, w);
    }
  }

  // Zeros, one for each element that the rule updates.
  std::vector<float> NewState() const { return std::vector<float>(states_, 0.0f); }
  int64_t ArrayBytes() const { return states_ * static_cast<int64_t>(sizeof(float)); }

 private:
  void CheckSlice(int64_t begin, size_t size) const {
    RM_CHECK(begin >= 0 && begin + static_cast<int64_t>(size) <= scope_.count);
  }

  // How far the slice's elements lie from their places in the arrays of state.
  int64_t ShiftOf(int64_t begin, size_t size) const {
    const auto after =
        std::upper_bound(updated_.begin(), updated_.end(), begin,
                         [](int64_t element, const Range& range) { return element < range.begin; });
    RM_CHECK(after != updated_.begin());
    const auto place = after - updated_.begin() - 1;
    RM_CHECK(begin + static_cast<int64_t>(size) <= updated_[place].end());
    return updated_[place].begin - states_before_[place];
  }

  // Cuts the slice where statistics begin and end: calls run(range, is_statistic) for each piece,
  // in order.
  template <typename Run>
  void ForEachRun(int64_t begin, size_t size, Run run) const {
    const int64_t end = begin + static_cast<int64_t>(size);
    auto next =
        std::upper_bound(scope_.statistics.begin(), scope_.statistics.end(), begin,
                         [](int64_t element, const Range& range) { return element < range.end(); });
    while (begin < end) {
      const bool is_statistic = next != scope_.statistics.end() && next->begin <= begin;
      int64_t until = end;
      if (next != scope_.statistics.end())
        until = std::min(end, is_statistic ? next->end() : next->begin);
      if (until > begin) run(Range{begin, until - begin}, is_statistic);
      begin = until;
      if (is_statistic) ++next;
    }
  }

  const LearningRate rate_;
  const float decay_;
  const double clip_norm_;  // 0: none
  const UpdateScope scope_;
  const std::vector<Range> updated_;
  std::vector<int64_t> states_before_;  // those of the ranges before, by range of updated_
  int64_t states_ = 0;
  std::vector<float> direction_;  // [kBlock]
};

class Sgd : public Rule {
 public:
  using Rule::Rule;

  State Give() const override { return {}; }
  absl::Status Take(const State& state) override { return state.CopyTo({}); }

 private:
  void Update(const UpdateStep& step, float rate, int64_t begin, absl::Span<const float> gradient,
              absl::Span<float> weights) override {
    ForEachBlock(step, begin, gradient, weights,
                 [&](int64_t, absl::Span<const float> g, absl::Span<float> w) {
                   SubtractScaled(rate, g, w);
                 });
  }
};

// The rate is outside the velocity, so that a drop of the rate takes effect at once.
class Momentum : public Rule {
 public:
  Momentum(LearningRate rate, float decay, double clip_norm, UpdateScope scope, float momentum,
           bool nesterov)
      : Rule(rate, decay, clip_norm, std::move(scope)),
        momentum_(momentum),
        nesterov_(nesterov),
        velocity_(NewState()),
        ahead_(kBlock) {}

  State Give() const override {
    State state;
    state.AddFloats("velocity", velocity_);
    return state;
  }
  int64_t state_bytes() const override { return ArrayBytes(); }

  absl::Status Take(const State& state) override {
    return state.CopyTo({{"velocity", absl::MakeSpan(velocity_)}});
  }

 private:
  void Update(const UpdateStep& step, float rate, int64_t begin, absl::Span<const float> gradient,
              absl::Span<float> weights) override {
    const auto block = [&](int64_t at, absl::Span<const float> g, absl::Span<float> w) {
      const absl::Span<float> velocity = absl::MakeSpan(velocity_).subspan(at, g.size());
      ScaleThenAdd(momentum_, g, velocity);
      if (!nesterov_) return SubtractScaled(rate, velocity, w);
      const absl::Span<float> ahead = absl::MakeSpan(ahead_).first(g.size());
      WeightedSum(1, g, momentum_, velocity, ahead);
      SubtractScaled(rate, ahead, w);
    };
    ForEachBlock(step, begin, gradient, weights, block);
  }

  const float momentum_;
  const bool nesterov_;
  std::vector<float> velocity_;  // [count]
  std::vector<float> ahead_;     // [kBlock]
};

class Adam : public Rule {
 public:
  // `decay`: added to the gradient; `decoupled_decay`: taken off the weights.
  Adam(LearningRate rate, float decay, double clip_norm, UpdateScope scope,
       const OptimizerSpec& spec, double decoupled_decay)
      : Rule(rate, decay, clip_norm, std::move(scope)),
        beta1_(spec.beta1()),
        beta2_(spec.beta2()),
        epsilon_(spec.epsilon()),
        decoupled_decay_(decoupled_decay),
        first_(NewState()),
        second_(NewState()) {}

  State Give() const override {
    State state;
    state.AddFloats("first", first_);
    state.AddFloats("second", second_);
    return state;
  }
  int64_t state_bytes() const override { return 2 * ArrayBytes(); }

  absl::Status Take(const State& state) override {
    return state.CopyTo({{"first", absl::MakeSpan(first_)}, {"second", absl::MakeSpan(second_)}});
  }

 private:
  void Update(const UpdateStep& step, float rate, int64_t begin, absl::Span<const float> gradient,
              absl::Span<float> weights) override {
    AdamFactors factors;
    factors.first_keep = static_cast<float>(beta1_);
    factors.first_share = static_cast<float>(1 - beta1_);
    factors.second_keep = static_cast<float>(beta2_);
    factors.second_share = static_cast<float>(1 - beta2_);
    factors.root_factor = static_cast<float>(1 / std::sqrt(1 - Power(beta2_, step.update + 1)));
    factors.epsilon = epsilon_;
    factors.step = static_cast<float>(rate / (1 - Power(beta1_, step.update + 1)));
    const float keep = static_cast<float>(1 - rate * (decoupled_decay_ * step.share));
    const auto block = [&](int64_t at, absl::Span<const float> g, absl::Span<float> w) {
      if (decoupled_decay_ != 0) Scale(keep, w);
      AdamStep(factors, g, absl::MakeSpan(first_).subspan(at, g.size()),
               absl::MakeSpan(second_).subspan(at, g.size()), w);
    };
    ForEachBlock(step, begin, gradient, weights, block);
  }

  const double beta1_;
  const double beta2_;
  const float epsilon_;
  const double decoupled_decay_;
  std::vector<float> first_;   // [count], the gradient's running mean
  std::vector<float> second_;  // [count], that of its square
};

// Adds what it is given.
// A rule that is no optimizer's: it keeps nothing, and every element is treated alike.
class PlainRule : public UpdateRule {
 public:
  explicit PlainRule(int64_t count) : count_(count) {}

  bool clips() const override { return false; }
  double SumOfSquares(int64_t begin, absl::Span<const float> gradient) const override {
    return ringmaster::SumOfSquares(gradient);
  }
  float ClipFactor(double sum_of_squares) const override { return 1; }
  State Give() const override { return {}; }
  absl::Status Take(const State& state) override { return state.CopyTo({}); }

 protected:
  void CheckSlice(const UpdateStep& step, absl::Span<const float> gradient) const {
    RM_CHECK(step.begin >= 0 && step.begin + static_cast<int64_t>(gradient.size()) <= count_);
  }

 private:
  const int64_t count_;
};

class AddRule : public PlainRule {
 public:
  using PlainRule::PlainRule;
  void Apply(const UpdateStep& step, absl::Span<const float> gradient,
             absl::Span<float> weights) override {
    CheckSlice(step, gradient);
    Add(gradient, weights);
  }
};

class AttractRule : public PlainRule {
 public:
  AttractRule(int64_t count, float share) : PlainRule(count), share_(share) {}
  void Apply(const UpdateStep& step, absl::Span<const float> gradient,
             absl::Span<float> weights) override {
    CheckSlice(step, gradient);
    MoveTowards(share_, gradient, weights);
  }

 private:
  const float share_;
};

absl::Status CheckFactor(const char* field, bool has, float value, const char* others) {
  if (has && value >= 0 && value < 1) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("optimizer.", field, " ", has ? absl::StrCat(value) : "is missing",
                   ": expected a number of at least 0 and below 1", others));
}

absl::Status CheckCommon(const OptimizerSpec& spec) {
  if (!(spec.weight_decay() >= 0 && std::isfinite(spec.weight_decay()))) {
    return absl::InvalidArgumentError(absl::StrCat("optimizer.weight_decay ", spec.weight_decay(),
                                                   ": expected a finite number of at least 0"));
  }
  if (spec.has_clip_norm() && !(spec.clip_norm() > 0 && std::isfinite(spec.clip_norm()))) {
    return absl::InvalidArgumentError(
        absl::StrCat("optimizer.clip_norm ", spec.clip_norm(),
                     ": expected a finite number above 0; leave it out to clip nothing"));
  }
  return absl::OkStatus();
}

absl::Status CheckAdam(const OptimizerSpec& spec) {
  RM_RETURN_IF_ERROR(CheckFactor("beta1", spec.has_beta1(), spec.beta1(), ""));
  RM_RETURN_IF_ERROR(CheckFactor("beta2", spec.has_beta2(), spec.beta2(), ""));
  if (!spec.has_epsilon() || !(spec.epsilon() > 0 && std::isfinite(spec.epsilon()))) {
    return absl::InvalidArgumentError(absl::StrCat(
        "optimizer.epsilon ", spec.has_epsilon() ? absl::StrCat(spec.epsilon()) : "is missing",
        ": expected a finite number above 0, for example 1e-8"));
  }
  return absl::OkStatus();
}

constexpr OptimizerInfo kOptimizers[] = {
    {"sgd", "plain gradient descent"},
    {"momentum", "gradient descent with momentum, as torch.optim.SGD"},
    {"nesterov", "momentum with Nesterov's look ahead, as torch.optim.SGD"},
    {"adam", "Adam, weight decay in the gradient, as torch.optim.Adam"},
    {"adamw", "Adam with decoupled weight decay, as torch.optim.AdamW"},
};

bool IsKnown(const std::string& name) {
  return std::any_of(std::begin(kOptimizers), std::end(kOptimizers),
                     [&](const OptimizerInfo& info) { return name == info.name; });
}

// RM_CHECKs that they ascend, do not overlap and lie below `count`.
void CheckRanges(absl::Span<const Range> ranges, int64_t count) {
  int64_t end = 0;
  for (const Range& range : ranges) {
    RM_CHECK(range.begin >= end && range.count > 0);
    end = range.end();
  }
  RM_CHECK(end <= count);
}

void CheckScope(const UpdateScope& scope) {
  RM_CHECK(scope.count >= 0);
  CheckRanges(scope.statistics, scope.count);
  if (scope.updated.has_value()) CheckRanges(*scope.updated, scope.count);
}

}  // namespace

absl::StatusOr<std::unique_ptr<UpdateRule>> CreateUpdateRule(const OptimizerSpec& spec,
                                                             UpdateScope scope) {
  CheckScope(scope);
  const std::string& name = spec.name();
  if (!IsKnown(name)) {
    const auto quote = [](std::string* out, const OptimizerInfo& info) {
      absl::StrAppend(out, "\"", info.name, "\"");
    };
    return absl::InvalidArgumentError(absl::StrCat("optimizer.name \"", name,
                                                   "\" is unknown: expected one of ",
                                                   absl::StrJoin(kOptimizers, ", ", quote)));
  }
  RM_ASSIGN_OR_RETURN(const LearningRate rate, LearningRate::Create(spec, scope.batches));
  RM_RETURN_IF_ERROR(CheckCommon(spec));
  const float decay = spec.weight_decay();
  const double clip = spec.clip_norm();
  std::unique_ptr<UpdateRule> rule;
  if (name == "sgd") {
    rule = std::make_unique<Sgd>(rate, decay, clip, std::move(scope));
  } else if (name == "momentum" || name == "nesterov") {
    RM_RETURN_IF_ERROR(
        CheckFactor("momentum", spec.has_momentum(), spec.momentum(), "; name \"sgd\" needs none"));
    rule = std::make_unique<Momentum>(rate, decay, clip, std::move(scope), spec.momentum(),
                                      name == "nesterov");
  } else {
    RM_RETURN_IF_ERROR(CheckAdam(spec));
    const bool decoupled = name == "adamw";
    rule = std::make_unique<Adam>(rate, decoupled ? 0 : decay, clip, std::move(scope), spec,
                                  decoupled ? decay : 0);
  }
  return rule;
}

std::unique_ptr<UpdateRule> CreateAddRule(int64_t count) {
  RM_CHECK(count >= 0);
  return std::make_unique<AddRule>(count);
}

std::unique_ptr<UpdateRule> CreateAttractRule(int64_t count, float share) {
  RM_CHECK(count >= 0 && share > 0 && share < 1);
  return std::make_unique<AttractRule>(count, share);
}

absl::StatusOr<int64_t> OptimizerArrays(const OptimizerSpec& spec) {
  UpdateScope one;
  one.count = 1;
  RM_ASSIGN_OR_RETURN(const std::unique_ptr<UpdateRule> rule, CreateUpdateRule(spec, one));
  return static_cast<int64_t>(rule->Give().entries().size());
}

absl::Span<const OptimizerInfo> Optimizers() { return kOptimizers; }

}  // namespace ringmaster
