#include "worker/strategy/solo/solo_strategy.h"

#include "worker/strategy/local_update.h"

namespace ringmaster {
namespace {

class SoloStrategy : public SyncStrategy {
 public:
  explicit SoloStrategy(const WorkerLink& link) : update_(link) {}

  absl::Status BeginStep(int64_t step) override { return absl::OkStatus(); }

  absl::Status GradReady(int64_t step, const Bucket& bucket, absl::Span<float> gradient) override {
    update_.Remember(bucket, gradient);
    return absl::OkStatus();
  }

  absl::Status EndStep(int64_t step) override {
    update_.Apply(step);
    return absl::OkStatus();
  }

  absl::Status Drain() override { return absl::OkStatus(); }

  ExchangeReport Finish() override { return {}; }

 private:
  LocalUpdate update_;
};

}  // namespace

std::unique_ptr<SyncStrategy> CreateSoloStrategy(const WorkerLink& link) {
  return std::make_unique<SoloStrategy>(link);
}

}  // namespace ringmaster
