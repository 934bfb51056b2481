#include "worker/strategy/local_sgd/local_sgd_rule.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "common/base/status_macros.h"
#include "common/update/update_rule.h"
#include "common/vecmath/vecmath.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {
namespace {

// What an outer optimizer makes of averages: the weights of the last one, updated by how far the
// new one has gone from them. The same at every worker.
class OuterUpdate {
 public:
  OuterUpdate(const ParamLayout& layout, absl::Span<const float> weights,
              std::unique_ptr<UpdateRule> rule)
      : statistics_(layout.statistics().begin(), layout.statistics().end()),
        rule_(std::move(rule)),
        last_(weights.begin(), weights.end()) {}

  // The next average is the first: it is compared with `weights`.
  void BeginAt(absl::Span<const float> weights) {
    std::copy(weights.begin(), weights.end(), last_.begin());
  }

  // `*average` becomes the new weights. Running statistics stay as averaged.
  void Apply(std::vector<float>* average) {
    for (const Range& range : statistics_) {
      std::copy_n(average->begin() + range.begin, range.count, last_.begin() + range.begin);
    }
    // Where these are equal now there is nothing to go.
    ScaleThenAdd(-1, last_, absl::MakeSpan(*average));
    rule_->Apply({0, 0, updates_++, 1}, *average, absl::MakeSpan(last_));
    std::copy(last_.begin(), last_.end(), average->begin());
  }

  State Give() const {
    State state;
    state.AddFloats("last", last_);
    state.AddInteger("updates", updates_);
    state.AddPart("rule", rule_->Give());
    return state;
  }
  int64_t state_bytes() const {
    return static_cast<int64_t>(last_.size() * sizeof(float) + sizeof(updates_)) +
           rule_->state_bytes();
  }
  absl::Status Take(const State& state) {
    State own = state;
    RM_RETURN_IF_ERROR(rule_->Take(own.TakePart("rule")));
    return own.CopyTo({{"last", absl::MakeSpan(last_)}, {"updates", &updates_}});
  }

 private:
  const std::vector<Range> statistics_;
  const std::unique_ptr<UpdateRule> rule_;
  std::vector<float> last_;
  int64_t updates_ = 0;
};

// Null where the spec has none.
absl::StatusOr<std::unique_ptr<OuterUpdate>> CreateOuter(const WeightRuleSeat& seat) {
  const LocalSgdSpec& spec = seat.spec->strategy().local_sgd();
  if (spec.outer_optimizer() == "none") return nullptr;
  OptimizerSpec optimizer;
  optimizer.set_name(spec.outer_optimizer());
  optimizer.set_learning_rate(spec.outer_learning_rate());
  optimizer.set_momentum(spec.outer_momentum());
  UpdateScope scope;
  scope.count = seat.layout->count();
  RM_ASSIGN_OR_RETURN(auto rule, CreateUpdateRule(optimizer, std::move(scope)));
  return std::make_unique<OuterUpdate>(*seat.layout, seat.weights, std::move(rule));
}

class LocalSgdRule : public WeightRule {
 public:
  LocalSgdRule(const WeightRuleSeat& seat, std::unique_ptr<OuterUpdate> outer)
      : WeightRule(seat), outer_(std::move(outer)) {}

  void TakeSum(std::vector<float>* sum, Replica* replica) override {
    Divide(workers(), absl::MakeSpan(*sum));
    if (outer_ != nullptr) outer_->Apply(sum);
    replica->Replace(sum);
  }

  // The outer optimizer's.
  State Give() const override { return outer_ == nullptr ? State() : outer_->Give(); }
  int64_t state_bytes() const override { return outer_ == nullptr ? 0 : outer_->state_bytes(); }
  absl::Status Take(const State& state) override {
    return outer_ == nullptr ? state.CopyTo({}) : outer_->Take(state);
  }

 private:
  void BeginAlone(absl::Span<const float> weights) override {
    if (outer_ != nullptr) outer_->BeginAt(weights);
  }

  const std::unique_ptr<OuterUpdate> outer_;  // null: none
};

}  // namespace

absl::StatusOr<std::unique_ptr<WeightRule>> CreateLocalSgdRule(const WeightRuleSeat& seat) {
  RM_ASSIGN_OR_RETURN(auto outer, CreateOuter(seat));
  return std::make_unique<LocalSgdRule>(seat, std::move(outer));
}

}  // namespace ringmaster
