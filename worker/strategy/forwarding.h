#ifndef RINGMASTER_WORKER_STRATEGY_FORWARDING_H_
#define RINGMASTER_WORKER_STRATEGY_FORWARDING_H_

#include <cstdint>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/strategy/strategy.h"

namespace ringmaster {

// What stands around another strategy: passes every call on, and what derives from it overrides
// only what it changes.
class ForwardingStrategy : public SyncStrategy {
 public:
  explicit ForwardingStrategy(std::unique_ptr<SyncStrategy> real) : real_(std::move(real)) {}

  GradientRequest Gradients() const override { return real_->Gradients(); }
  absl::StatusOr<int64_t> NextStep(int64_t step) override { return real_->NextStep(step); }
  absl::Status BeginStep(int64_t step) override { return real_->BeginStep(step); }
  absl::Status GradReady(int64_t step, const Bucket& bucket,
                         const BucketGradient& gradient) override {
    return real_->GradReady(step, bucket, gradient);
  }
  absl::Status EndStep(int64_t step) override { return real_->EndStep(step); }
  absl::Status Drain() override { return real_->Drain(); }
  WeightsView ModelWeights() const override { return real_->ModelWeights(); }
  absl::StatusOr<MarkedModel> Recall(int32_t mark) override { return real_->Recall(mark); }
  State Give() const override { return real_->Give(); }
  int64_t state_bytes() const override { return real_->state_bytes(); }
  absl::Status Take(const State& state) override { return real_->Take(state); }
  absl::Status Keep(int64_t step) override { return real_->Keep(step); }
  ExchangeReport Report() override { return real_->Report(); }
  ExchangeReport Finish() override { return real_->Finish(); }

 protected:
  const std::unique_ptr<SyncStrategy> real_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_STRATEGY_FORWARDING_H_
