#include "worker/strategy/gossip/gossip_strategy.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "common/base/status_macros.h"
#include "common/collective/gossip.h"
#include "common/scheme/registry.h"
#include "common/vecmath/vecmath.h"
#include "proto/run_spec.pb.h"
#include "worker/strategy/replica_marks.h"
#include "worker/strategy/weight_exchange.h"

namespace ringmaster {
namespace {

class GossipStrategy : public SyncStrategy {
 public:
  GossipStrategy(const WorkerLink& link, GossipGraph graph, std::unique_ptr<ReplicaAverage> average)
      : link_(link),
        every_(link.spec->strategy().gossip().every_steps()),
        sources_(
            static_cast<float>(GossipSources(graph, link.workers, /*round=*/0, link.rank).size())),
        gradients_(link.layout->buckets().size()),
        model_(link.layout->count()),
        average_(std::move(average)),
        marks_(link, {[this] { return ModelWeights(); }, average_.get()}),
        exchange_(link, [this](int64_t step, int32_t) -> const Schedule& {
          return *rounds_[step / every_ % static_cast<int64_t>(rounds_.size())];
        }) {
    for (int32_t round = 0; round < GossipRounds(graph, link.workers); ++round)
      rounds_.push_back(CreateGossipSchedule(graph, round));
  }

  GradientRequest Gradients() const override { return {}; }

  absl::Status BeginStep(int64_t step) override {
    RM_RETURN_IF_ERROR(exchange_.status());
    drained_ = false;
    if (!Exchanges(step)) return absl::OkStatus();
    exchange_.CopyWeights();
    exchange_.StartArena(step);
    return absl::OkStatus();
  }

  absl::Status GradReady(int64_t step, const Bucket& bucket,
                         const BucketGradient& gradient) override {
    gradients_[bucket.id] = gradient;
    return exchange_.status();
  }

  absl::Status EndStep(int64_t step) override {
    if (Exchanges(step)) {
      RM_RETURN_IF_ERROR(exchange_.Wait(step));
      ScopedPhase phase(*link_.step_times, Phase::kUpdate);
      Divide(sources_, absl::MakeSpan(exchange_.arena()));
      link_.replica->Replace(&exchange_.arena());
    }
    RM_RETURN_IF_ERROR(link_.replica->Apply(step, gradients_));
    finished_ = step + 1;
    marks_.StepEnded(step);
    return absl::OkStatus();
  }

  absl::Status Drain() override {
    RM_RETURN_IF_ERROR(exchange_.status());
    const absl::Span<const float> own = link_.replica->weights().host();
    std::copy(own.begin(), own.end(), model_.begin());
    RM_RETURN_IF_ERROR(average_->Average(finished_, absl::MakeSpan(model_)));
    distance_ = ConsensusDistance(own, model_);
    drained_ = true;
    return absl::OkStatus();
  }

  // Before the first step all workers have the same weights.
  WeightsView ModelWeights() const override {
    // Versions of the replica's weights are 0 or more, and those of marks below 0.
    return drained_ ? WeightsView::OnHost(model_, std::numeric_limits<int64_t>::min() + finished_)
                    : link_.replica->weights();
  }

  absl::StatusOr<MarkedModel> Recall(int32_t mark) override { return marks_.Recall(mark); }

  // Only weights and update rule outlast a step.
  State Give() const override { return {}; }
  absl::Status Take(const State& state) override { return state.CopyTo({}); }

  ExchangeReport Finish() override {
    ExchangeReport report = exchange_.Finish();
    report.consensus_distance = distance_;
    return report;
  }

 private:
  bool Exchanges(int64_t step) const { return (step + 1) % every_ == 0; }

  const WorkerLink link_;
  const int64_t every_;
  const float sources_;                            // whose weights an average is made of
  std::vector<std::unique_ptr<Schedule>> rounds_;  // one after the other, and again
  std::vector<BucketGradient> gradients_;          // of the step, by bucket
  std::vector<float> model_;                       // after Drain
  bool drained_ = false;                           // and no step has begun since
  int64_t finished_ = 0;                           // steps
  double distance_ = 0;                            // from the model, after Drain
  const std::unique_ptr<ReplicaAverage> average_;
  ReplicaMarks marks_;
  WeightExchange exchange_;  // last: its thread uses the schedules
};

}  // namespace

absl::StatusOr<std::unique_ptr<SyncStrategy>> CreateGossipStrategy(const WorkerLink& link) {
  // By what sums the average of all, which nobody trains with, no bit of training follows from it.
  RM_ASSIGN_OR_RETURN(auto average, ReplicaAverage::Create("auto", link));
  return std::make_unique<GossipStrategy>(link, *TraitsOf(*link.spec).gossip, std::move(average));
}

}  // namespace ringmaster
