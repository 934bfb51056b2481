#include "worker/strategy/weight_strategy.h"

#include <optional>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "common/base/status_macros.h"
#include "common/collective/gossip.h"
#include "common/collective/schedule.h"
#include "common/config/describe.h"
#include "common/scheme/registry.h"
#include "worker/strategy/neighbour_weights.h"
#include "worker/strategy/replica_marks.h"
#include "worker/strategy/weight_exchange.h"

namespace ringmaster {
namespace {

class WeightStrategy : public SyncStrategy {
 public:
  WeightStrategy(const WorkerLink& link, std::unique_ptr<WeightRule> rule,
                 std::vector<std::unique_ptr<Schedule>> schedules,
                 std::unique_ptr<ReplicaAverage> average)
      : link_(link),
        traits_(TraitsOf(*link.spec)),
        rule_(std::move(rule)),
        schedules_(std::move(schedules)),
        gradients_(link.layout->buckets().size()),
        equal_(traits_.replicas == Replicas::kEqualAfterDrain),
        average_(std::move(average)),
        marks_(link, {[this] { return ModelWeights(); }, average_.get()}),
        exchange_(link, [this](int64_t step, int32_t bucket) -> const Schedule& {
          return *schedules_[traits_.gossip.has_value() ? RoundOf(step) : bucket];
        }) {
    if (traits_.gossip.has_value() && GoesOn(*link.spec)) {
      neighbours_.emplace(NeighbourSeat{*traits_.gossip, link.workers, link.rank}, *link.layout);
    }
  }

  GradientRequest Gradients() const override { return {}; }

  absl::Status BeginStep(int64_t step) override {
    RM_RETURN_IF_ERROR(exchange_.status());
    rule_->StepBegins();
    if (ExchangedIn(traits_, step) == Exchanged::kWeightsAhead) StartWeights(step);
    return absl::OkStatus();
  }

  absl::Status GradReady(int64_t step, const Bucket& bucket,
                         const BucketGradient& gradient) override {
    gradients_[bucket.id] = gradient;
    if (ExchangedIn(traits_, step) == Exchanged::kGradients)
      exchange_.Start(step, bucket, gradient.host());
    return exchange_.status();
  }

  absl::Status EndStep(int64_t step) override {
    const std::optional<Exchanged> exchanged = ExchangedIn(traits_, step);
    if (exchanged == Exchanged::kWeightsAhead) RM_RETURN_IF_ERROR(TakeSum(step));
    if (exchanged == Exchanged::kGradients) RM_RETURN_IF_ERROR(exchange_.Wait(step));
    RM_RETURN_IF_ERROR(rule_->Update(step, gradients_, link_.replica));
    if (exchanged == Exchanged::kWeightsAfter) {
      StartWeights(step);
      RM_RETURN_IF_ERROR(TakeSum(step));
    }
    finished_ = step + 1;
    equal_ = AreEqualAfter(traits_, step);
    marks_.StepEnded(step, equal_);
    return absl::OkStatus();
  }

  absl::Status Drain() override {
    RM_RETURN_IF_ERROR(exchange_.status());
    if (average_ != nullptr && !equal_) {
      if (link_.lost_workers) RM_RETURN_IF_ERROR(average_->LeaveOut(link_.lost_workers()));
      exchange_.CopyWeights();
      RM_RETURN_IF_ERROR(average_->Average(finished_, absl::MakeSpan(exchange_.arena())));
      rule_->TakeAverage(&exchange_.arena(), link_.replica);
      equal_ = traits_.replicas == Replicas::kEqualAfterDrain;
    }
    if (traits_.replicas == Replicas::kOnAverage)
      distance_ = ConsensusDistance(link_.replica->OnHost(), ModelWeights().host());
    return absl::OkStatus();
  }

  WeightsView ModelWeights() const override { return rule_->Model(*link_.replica); }

  absl::StatusOr<MarkedModel> Recall(int32_t mark) override { return marks_.Recall(mark); }

  // The rule's.
  State Give() const override { return rule_->Give(); }
  int64_t state_bytes() const override { return rule_->state_bytes(); }
  absl::Status Take(const State& state) override { return rule_->Take(state); }

  ExchangeReport Report() override {
    ExchangeReport report = exchange_.Report();
    report.consensus_distance = distance_;
    return report;
  }

  ExchangeReport Finish() override {
    ExchangeReport report = exchange_.Finish();
    report.consensus_distance = distance_;
    return report;
  }

 private:
  int32_t RoundOf(int64_t step) const {
    return static_cast<int32_t>(step / traits_.exchange_every %
                                static_cast<int64_t>(schedules_.size()));
  }

  void StartWeights(int64_t step) {
    if (!neighbours_.has_value()) {
      exchange_.CopyWeights();
      return exchange_.StartArena(step);
    }
    neighbours_->Begin(link_.replica->OnHost());
    for (const Bucket& bucket : link_.layout->buckets())
      exchange_.Start(step, bucket, neighbours_->DataOf(bucket));
  }

  absl::Status TakeSum(int64_t step) {
    RM_RETURN_IF_ERROR(exchange_.Wait(step));
    ScopedPhase phase(*link_.step_times, Phase::kUpdate);
    if (neighbours_.has_value()) {
      for (int32_t rank = 0; rank < link_.workers; ++rank) {
        if (exchange_.IsLost(rank)) neighbours_->Lose(rank);
      }
      neighbours_->Sum(RoundOf(step), &exchange_.arena());
    }
    rule_->TakeSum(&exchange_.arena(), link_.replica);
    return absl::OkStatus();
  }

  const WorkerLink link_;
  const SchemeTraits traits_;
  const std::unique_ptr<WeightRule> rule_;
  // By bucket; of gossip by round, one after the other and again.
  const std::vector<std::unique_ptr<Schedule>> schedules_;
  std::vector<BucketGradient> gradients_;          // of the step, by bucket
  bool equal_;                                     // all workers have the same weights
  int64_t finished_ = 0;                           // steps
  std::optional<double> distance_;                 // from the model, after Drain
  const std::unique_ptr<ReplicaAverage> average_;  // null: the model is no average
  ReplicaMarks marks_;
  std::optional<NeighbourWeights> neighbours_;  // of gossip whose workers may be lost
  WeightExchange exchange_;                     // last: its thread uses the schedules
};

}  // namespace

absl::StatusOr<std::unique_ptr<SyncStrategy>> CreateWeightStrategy(
    const WorkerLink& link, std::unique_ptr<WeightRule> rule) {
  const SchemeTraits traits = TraitsOf(*link.spec);
  std::vector<std::unique_ptr<Schedule>> schedules;
  if (traits.gossip.has_value()) {
    const GossipArrival arrival =
        GoesOn(*link.spec) ? GossipArrival::kApart : GossipArrival::kAdded;
    for (int32_t round = 0; round < GossipRounds(*traits.gossip, link.workers); ++round)
      schedules.push_back(CreateGossipSchedule(*traits.gossip, round, arrival));
  } else {
    RM_ASSIGN_OR_RETURN(schedules, BucketSchedules(traits.collective, link, link.workers));
  }
  std::unique_ptr<ReplicaAverage> average;
  if (traits.marks_are_averages) {
    // By what sums the average of all, which gossip does not train with, no bit of it follows.
    RM_ASSIGN_OR_RETURN(average, ReplicaAverage::Create(AverageCollective(traits), link));
  }
  return std::make_unique<WeightStrategy>(link, std::move(rule), std::move(schedules),
                                          std::move(average));
}

}  // namespace ringmaster
