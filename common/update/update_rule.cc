#include "common/update/update_rule.h"

#include <cmath>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/update/learning_rate.h"
#include "common/vecmath/vecmath.h"

namespace ringmaster {
namespace {

void CheckSlice(const UpdateStep& step, size_t gradient_count, size_t weight_count, int64_t count) {
  RM_CHECK(gradient_count == weight_count);
  RM_CHECK(step.begin >= 0 && step.begin + static_cast<int64_t>(weight_count) <= count);
}

// weights -= rate * gradient
class Sgd : public UpdateRule {
 public:
  Sgd(LearningRate rate, int64_t count) : rate_(rate), count_(count) {}

  void Apply(const UpdateStep& step, absl::Span<const float> gradient, absl::Span<float> weights) override {
    CheckSlice(step, gradient.size(), weights.size(), count_);
    SubtractScaled(rate_.At(step.samples_seen), gradient, weights);
  }

 private:
  const LearningRate rate_;
  const int64_t count_;
};

// velocity = momentum * velocity + gradient; weights -= rate * velocity. The rate is outside the velocity, so that a
// drop of the rate takes effect at once. Source: PyTorch torch.optim.SGD without dampening and without Nesterov.
class Momentum : public UpdateRule {
 public:
  Momentum(LearningRate rate, float momentum, int64_t count)
      : rate_(rate), momentum_(momentum), velocity_(count, 0.0f) {}

  void Apply(const UpdateStep& step, absl::Span<const float> gradient, absl::Span<float> weights) override {
    CheckSlice(step, gradient.size(), weights.size(), static_cast<int64_t>(velocity_.size()));
    const absl::Span<float> velocity = absl::MakeSpan(velocity_).subspan(step.begin, weights.size());
    ScaleThenAdd(momentum_, gradient, velocity);
    SubtractScaled(rate_.At(step.samples_seen), velocity, weights);
  }

 private:
  const LearningRate rate_;
  const float momentum_;
  std::vector<float> velocity_;  // [count]
};

}  // namespace

absl::StatusOr<std::unique_ptr<UpdateRule>> CreateUpdateRule(const OptimizerSpec& spec, int64_t count) {
  RM_CHECK(count >= 0);
  if (spec.name() != "sgd" && spec.name() != "momentum") {
    return absl::InvalidArgumentError(
        absl::StrCat("optimizer.name \"", spec.name(), "\" is unknown: expected \"sgd\" or \"momentum\""));
  }
  RM_ASSIGN_OR_RETURN(const LearningRate rate, LearningRate::Create(spec));
  if (spec.name() == "sgd") return std::unique_ptr<UpdateRule>(new Sgd(rate, count));
  const float momentum = spec.momentum();
  if (!spec.has_momentum() || !std::isfinite(momentum) || momentum < 0 || momentum >= 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("optimizer.momentum ", spec.has_momentum() ? absl::StrCat(momentum) : "is missing",
                     ": expected a number of at least 0 and below 1; name \"sgd\" needs none"));
  }
  return std::unique_ptr<UpdateRule>(new Momentum(rate, momentum, count));
}

}  // namespace ringmaster
