#include "worker/strategy/solo/solo_strategy.h"

#include <vector>

namespace ringmaster {
namespace {

class SoloStrategy : public SyncStrategy {
 public:
  explicit SoloStrategy(const WorkerLink& link)
      : replica_(*link.replica), gradients_(link.layout->buckets().size()) {}

  GradientRequest Gradients() const override { return {}; }

  absl::Status BeginStep(int64_t step) override { return absl::OkStatus(); }

  absl::Status GradReady(int64_t step, const Bucket& bucket,
                         const BucketGradient& gradient) override {
    gradients_[bucket.id] = gradient;
    return absl::OkStatus();
  }

  absl::Status EndStep(int64_t step) override { return replica_.Apply(step, gradients_); }

  absl::Status Drain() override { return absl::OkStatus(); }

  WeightsView ModelWeights() const override { return replica_.weights(); }

  // Only weights and update rule outlast a step.
  State Give() const override { return {}; }
  absl::Status Take(const State& state) override { return state.CopyTo({}); }

  ExchangeReport Finish() override { return {}; }

 private:
  Replica& replica_;
  std::vector<BucketGradient> gradients_;  // of the step, by bucket
};

}  // namespace

std::unique_ptr<SyncStrategy> CreateSoloStrategy(const WorkerLink& link) {
  return std::make_unique<SoloStrategy>(link);
}

}  // namespace ringmaster
