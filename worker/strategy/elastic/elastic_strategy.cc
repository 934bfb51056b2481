#include "worker/strategy/elastic/elastic_strategy.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "common/base/status_macros.h"
#include "common/vecmath/vecmath.h"
#include "proto/run_spec.pb.h"
#include "worker/strategy/replica_marks.h"
#include "worker/strategy/weight_exchange.h"

namespace ringmaster {
namespace {

class ElasticStrategy : public SyncStrategy {
 public:
  ElasticStrategy(const WorkerLink& link, std::vector<std::unique_ptr<Schedule>> schedules)
      : link_(link),
        spec_(link.spec->strategy().elastic()),
        schedules_(std::move(schedules)),
        gradients_(link.layout->buckets().size()),
        center_(link.replica->weights().host().begin(), link.replica->weights().host().end()),
        moved_(center_.size()),
        marks_(link, {[this] { return Center(); }, nullptr}),
        exchange_(link, [this](int64_t, int32_t bucket) -> const Schedule& {
          return *schedules_[bucket];
        }) {}

  GradientRequest Gradients() const override { return {}; }

  absl::Status BeginStep(int64_t step) override {
    RM_RETURN_IF_ERROR(exchange_.status());
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
    if (Exchanges(step)) RM_RETURN_IF_ERROR(Attract(step));
    RM_RETURN_IF_ERROR(link_.replica->Apply(step, gradients_));
    marks_.StepEnded(step);
    return absl::OkStatus();
  }

  absl::Status Drain() override {
    distance_ = ConsensusDistance(link_.replica->weights().host(), center_);
    return exchange_.status();
  }

  WeightsView ModelWeights() const override { return Center(); }

  absl::StatusOr<MarkedModel> Recall(int32_t mark) override { return marks_.Recall(mark); }

  State Give() const override {
    State state;
    state.AddFloats("center", center_);
    return state;
  }
  absl::Status Take(const State& state) override {
    return state.CopyTo({{"center", absl::MakeSpan(center_)}});
  }

  ExchangeReport Finish() override {
    ExchangeReport report = exchange_.Finish();
    report.consensus_distance = distance_;
    return report;
  }

 private:
  bool Exchanges(int64_t step) const { return (step + 1) % spec_.period() == 0; }

  // Versions of the replica's weights are 0 or more, and those of marks below 0.
  WeightsView Center() const {
    return WeightsView::OnHost(center_, std::numeric_limits<int64_t>::min() + version_);
  }

  // Both go towards where the other was.
  absl::Status Attract(int64_t step) {
    RM_RETURN_IF_ERROR(exchange_.Wait(step));
    ScopedPhase phase(*link_.step_times, Phase::kUpdate);
    const absl::Span<float> mean = absl::MakeSpan(exchange_.arena());
    Divide(static_cast<float>(link_.workers), mean);
    const absl::Span<const float> weights = link_.replica->weights().host();
    std::copy(weights.begin(), weights.end(), moved_.begin());
    MoveTowards(static_cast<float>(spec_.alpha()), center_, absl::MakeSpan(moved_));
    MoveTowards(static_cast<float>(link_.workers * spec_.alpha()), mean, absl::MakeSpan(center_));
    link_.replica->Replace(&moved_);
    ++version_;
    return absl::OkStatus();
  }

  const WorkerLink link_;
  const ElasticSpec& spec_;
  const std::vector<std::unique_ptr<Schedule>> schedules_;  // by bucket
  std::vector<BucketGradient> gradients_;                   // of the step, by bucket
  std::vector<float> center_;
  int64_t version_ = 0;       // of the center
  std::vector<float> moved_;  // the arena, weights on their way
  double distance_ = 0;       // from the center, after Drain
  ReplicaMarks marks_;
  WeightExchange exchange_;  // last: its thread uses the schedules
};

}  // namespace

absl::StatusOr<std::unique_ptr<SyncStrategy>> CreateElasticStrategy(const WorkerLink& link) {
  RM_ASSIGN_OR_RETURN(auto schedules,
                      BucketSchedules(link.spec->strategy().elastic().collective(), link));
  return std::make_unique<ElasticStrategy>(link, std::move(schedules));
}

}  // namespace ringmaster
