#include "worker/strategy/solo/solo_strategy.h"

#include <vector>

#include "common/base/status_macros.h"
#include "worker/strategy/replica_marks.h"

namespace ringmaster {
namespace {

class SoloStrategy : public SyncStrategy {
 public:
  explicit SoloStrategy(const WorkerLink& link)
      : replica_(*link.replica), gradients_(link.layout->buckets().size()), marks_(link) {}

  GradientRequest Gradients() const override { return {}; }

  absl::Status BeginStep(int64_t step) override { return absl::OkStatus(); }

  absl::Status GradReady(int64_t step, const Bucket& bucket,
                         const BucketGradient& gradient) override {
    gradients_[bucket.id] = gradient;
    return absl::OkStatus();
  }

  absl::Status EndStep(int64_t step) override {
    RM_RETURN_IF_ERROR(replica_.Apply(step, gradients_));
    marks_.StepEnded(step);
    return absl::OkStatus();
  }

  absl::Status Drain() override { return absl::OkStatus(); }

  WeightsView ModelWeights() const override { return replica_.weights(); }

  absl::StatusOr<MarkedModel> Recall(int32_t mark) override { return marks_.Recall(mark); }

  // Only weights and update rule outlast a step.
  State Give() const override { return {}; }
  absl::Status Take(const State& state) override { return state.CopyTo({}); }

  ExchangeReport Report() override { return {}; }
  ExchangeReport Finish() override { return {}; }

 private:
  Replica& replica_;
  std::vector<BucketGradient> gradients_;  // of the step, by bucket
  ReplicaMarks marks_;
};

}  // namespace

std::unique_ptr<SyncStrategy> CreateSoloStrategy(const WorkerLink& link) {
  return std::make_unique<SoloStrategy>(link);
}

}  // namespace ringmaster
