#include "common/update/update_rule.h"

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/update/update_elements.h"
#include "common/vecmath/vecmath.h"

namespace ringmaster {
namespace {

// An optimizer whose weights and state lie on the host.
class OptimizerRule : public UpdateRule {
 public:
  explicit OptimizerRule(UpdatePlan plan) : plan_(std::move(plan)) {
    for (size_t i = 0; i < plan_.arrays().size(); ++i) arrays_[i].resize(plan_.states());
  }

  void Apply(const UpdateStep& step, absl::Span<const float> gradient,
             absl::Span<float> weights) override {
    RM_CHECK(gradient.size() == weights.size());
    plan_.ForEachRun(step, static_cast<int64_t>(gradient.size()), [&](const UpdatePlan::Run& run) {
      const int64_t count = run.elements.count, at = run.elements.begin - step.begin;
      const int arrays = StateArraysOf(run.update.kind);
      const auto state = [&](int array) {
        return array < arrays ? absl::MakeSpan(arrays_[array]).subspan(run.state_begin, count)
                              : absl::Span<float>();
      };
      UpdateElements(run.update,
                     {gradient.subspan(at, count), weights.subspan(at, count), state(0), state(1)});
    });
  }

  bool clips() const override { return plan_.clips(); }
  double SumOfSquares(int64_t begin, absl::Span<const float> gradient) const override {
    return plan_.SumOfSquares(begin, gradient);
  }
  float ClipFactor(double sum_of_squares) const override {
    return plan_.ClipFactor(sum_of_squares);
  }

  State Give() const override {
    State state;
    for (size_t i = 0; i < plan_.arrays().size(); ++i)
      state.AddFloats(plan_.arrays()[i], arrays_[i]);
    return state;
  }
  int64_t state_bytes() const override {
    return static_cast<int64_t>(plan_.arrays().size() * sizeof(float)) * plan_.states();
  }
  absl::Status Take(const State& state) override {
    std::vector<StateSlot> slots;
    for (size_t i = 0; i < plan_.arrays().size(); ++i)
      slots.push_back({plan_.arrays()[i], absl::MakeSpan(arrays_[i])});
    return state.CopyTo(slots);
  }

 private:
  const UpdatePlan plan_;
  std::vector<float> arrays_[2];  // UpdatePlan::arrays()
};

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

}  // namespace

absl::StatusOr<std::unique_ptr<UpdateRule>> CreateUpdateRule(const OptimizerSpec& spec,
                                                             UpdateScope scope) {
  RM_ASSIGN_OR_RETURN(UpdatePlan plan, UpdatePlan::Create(spec, std::move(scope)));
  return CreateUpdateRule(std::move(plan));
}

std::unique_ptr<UpdateRule> CreateUpdateRule(UpdatePlan plan) {
  return std::make_unique<OptimizerRule>(std::move(plan));
}

std::unique_ptr<UpdateRule> CreateAddRule(int64_t count) {
  RM_CHECK(count >= 0);
  return std::make_unique<AddRule>(count);
}

std::unique_ptr<UpdateRule> CreateAttractRule(int64_t count, float share) {
  RM_CHECK(count >= 0 && share > 0 && share < 1);
  return std::make_unique<AttractRule>(count, share);
}

}  // namespace ringmaster
