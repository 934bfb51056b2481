#include "worker/strategy/local_sgd/local_sgd_strategy.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "common/base/status_macros.h"
#include "common/update/update_rule.h"
#include "common/vecmath/vecmath.h"
#include "proto/run_spec.pb.h"
#include "worker/strategy/replica_marks.h"
#include "worker/strategy/weight_exchange.h"

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
absl::StatusOr<std::unique_ptr<OuterUpdate>> CreateOuter(const WorkerLink& link) {
  const LocalSgdSpec& spec = link.spec->strategy().local_sgd();
  if (spec.outer_optimizer() == "none") return nullptr;
  OptimizerSpec optimizer;
  optimizer.set_name(spec.outer_optimizer());
  optimizer.set_learning_rate(spec.outer_learning_rate());
  optimizer.set_momentum(spec.outer_momentum());
  UpdateScope scope;
  scope.count = link.layout->count();
  RM_ASSIGN_OR_RETURN(auto rule, CreateUpdateRule(optimizer, std::move(scope)));
  return std::make_unique<OuterUpdate>(*link.layout, link.replica->weights().host(),
                                       std::move(rule));
}

class LocalSgdStrategy : public SyncStrategy {
 public:
  LocalSgdStrategy(const WorkerLink& link, std::vector<std::unique_ptr<Schedule>> schedules,
                   std::unique_ptr<ReplicaAverage> average, std::unique_ptr<OuterUpdate> outer)
      : link_(link),
        spec_(link.spec->strategy().local_sgd()),
        schedules_(std::move(schedules)),
        gradients_(link.layout->buckets().size()),
        average_(std::move(average)),
        outer_(std::move(outer)),
        marks_(link, {nullptr, average_.get()}),
        exchange_(link, [this](int64_t, int32_t bucket) -> const Schedule& {
          return *schedules_[bucket];
        }) {}

  GradientRequest Gradients() const override { return {}; }

  absl::Status BeginStep(int64_t step) override { return exchange_.status(); }

  absl::Status GradReady(int64_t step, const Bucket& bucket,
                         const BucketGradient& gradient) override {
    gradients_[bucket.id] = gradient;
    if (IsSynchronous(step)) exchange_.Start(step, bucket, gradient.host());
    return exchange_.status();
  }

  absl::Status EndStep(int64_t step) override {
    if (IsSynchronous(step)) {
      RM_RETURN_IF_ERROR(exchange_.Wait(step));
      for (const BucketGradient& sum : gradients_) Divide(workers(), sum.host());
    }
    RM_RETURN_IF_ERROR(link_.replica->Apply(step, gradients_));
    const int64_t alone = step + 1 - spec_.synchronous_steps();
    equal_ = equal_ && alone <= 0;
    if (alone == 0 && outer_ != nullptr) outer_->BeginAt(link_.replica->weights().host());
    if (alone > 0 && alone % spec_.local_steps() == 0) RM_RETURN_IF_ERROR(AverageWeights(step));
    finished_ = step + 1;
    marks_.StepEnded(step, equal_);
    return absl::OkStatus();
  }

  absl::Status Drain() override {
    RM_RETURN_IF_ERROR(exchange_.status());
    if (equal_) return absl::OkStatus();
    exchange_.CopyWeights();
    RM_RETURN_IF_ERROR(average_->Average(finished_, absl::MakeSpan(exchange_.arena())));
    link_.replica->Replace(&exchange_.arena());
    equal_ = true;
    return absl::OkStatus();
  }

  WeightsView ModelWeights() const override { return link_.replica->weights(); }

  absl::StatusOr<MarkedModel> Recall(int32_t mark) override { return marks_.Recall(mark); }

  // The outer optimizer's.
  State Give() const override { return outer_ == nullptr ? State() : outer_->Give(); }
  absl::Status Take(const State& state) override {
    return outer_ == nullptr ? state.CopyTo({}) : outer_->Take(state);
  }

  ExchangeReport Finish() override { return exchange_.Finish(); }

 private:
  float workers() const { return static_cast<float>(link_.workers); }
  bool IsSynchronous(int64_t step) const { return step < spec_.synchronous_steps(); }

  absl::Status AverageWeights(int64_t step) {
    exchange_.CopyWeights();
    exchange_.StartArena(step);
    RM_RETURN_IF_ERROR(exchange_.Wait(step));
    ScopedPhase phase(*link_.step_times, Phase::kUpdate);
    Divide(workers(), absl::MakeSpan(exchange_.arena()));
    if (outer_ != nullptr) outer_->Apply(&exchange_.arena());
    link_.replica->Replace(&exchange_.arena());
    equal_ = true;
    return absl::OkStatus();
  }

  const WorkerLink link_;
  const LocalSgdSpec& spec_;
  const std::vector<std::unique_ptr<Schedule>> schedules_;  // by bucket
  std::vector<BucketGradient> gradients_;                   // of the step, by bucket
  bool equal_ = true;     // no worker has updated alone since the last average
  int64_t finished_ = 0;  // steps
  const std::unique_ptr<ReplicaAverage> average_;
  const std::unique_ptr<OuterUpdate> outer_;  // null: none
  ReplicaMarks marks_;
  WeightExchange exchange_;  // last: its thread uses the schedules
};

}  // namespace

absl::StatusOr<std::unique_ptr<SyncStrategy>> CreateLocalSgdStrategy(const WorkerLink& link) {
  const std::string& collective = link.spec->strategy().local_sgd().collective();
  RM_ASSIGN_OR_RETURN(auto schedules, BucketSchedules(collective, link));
  RM_ASSIGN_OR_RETURN(auto average, ReplicaAverage::Create(collective, link));
  RM_ASSIGN_OR_RETURN(auto outer, CreateOuter(link));
  return std::make_unique<LocalSgdStrategy>(link, std::move(schedules), std::move(average),
                                            std::move(outer));
}

}  // namespace ringmaster
