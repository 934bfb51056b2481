#include "worker/strategy/all_reduce/delayed_strategy.h"

#include <optional>
#include <utility>
#include <vector>

#include "common/base/status_macros.h"
#include "proto/run_spec.pb.h"
#include "worker/strategy/all_reduce/executor_sum.h"
#include "worker/strategy/all_reduce/gradient_sum.h"
#include "worker/strategy/exchange_thread.h"
#include "worker/strategy/replica_marks.h"

namespace ringmaster {
namespace {

class DelayedStrategy : public SyncStrategy {
 public:
  DelayedStrategy(const WorkerLink& link, std::unique_ptr<GradientSum> sum)
      : link_(link),
        sum_(std::move(sum)),
        marks_(link),
        exchange_(2 * (link.layout->buckets().size() + 1), link.spec->training().warmup_steps(),
                  *sum_, link.exchange_recorder) {
    for (std::vector<BucketGradient>& average : averages_)
      average.resize(link.layout->buckets().size());
    exchange_.TimeFrom(link.timed_from);
  }

  GradientRequest Gradients() const override { return sum_->Gradients(); }

  absl::Status BeginStep(int64_t step) override { return exchange_.status(); }

  absl::Status GradReady(int64_t step, const Bucket& bucket,
                         const BucketGradient& gradient) override {
    averages_[step % 2][bucket.id] = BucketGradient::OnHost(gradient.sum());
    exchange_.Post({ExchangeTask::Kind::kBucket, step, bucket.id, gradient, link_.lot(step)});
    return exchange_.status();
  }

  absl::Status EndStep(int64_t step) override {
    const Pending own{step, exchange_.Post({ExchangeTask::Kind::kEndStep, step})};
    RM_RETURN_IF_ERROR(ApplyPending());
    pending_ = own;
    return absl::OkStatus();
  }

  absl::Status Drain() override { return ApplyPending(); }

  WeightsView ModelWeights() const override { return link_.replica->weights(); }

  absl::StatusOr<MarkedModel> Recall(int32_t mark) override { return marks_.Recall(mark); }

  // After Drain no sum is under way.
  State Give() const override { return sum_->Give(); }
  absl::Status Take(const State& state) override { return sum_->Take(state); }

  ExchangeReport Finish() override {
    exchange_.Stop();
    ExchangeReport report;
    report.AddTimes(exchange_.times());
    const absl::Status left = sum_->Finish();
    sum_->Describe(&report);
    report.status = exchange_.status().ok() ? left : exchange_.status();
    return report;
  }

 private:
  // A step whose sum is under way.
  struct Pending {
    int64_t step = 0;
    int64_t task = 0;  // that ends with it
  };

  // Waits for the sum of the step before and applies it, if there is one.
  absl::Status ApplyPending() {
    if (!pending_.has_value()) return exchange_.status();
    const Pending pending = *std::exchange(pending_, std::nullopt);
    {
      ScopedPhase phase(*link_.step_times, Phase::kExposed);
      RM_RETURN_IF_ERROR(exchange_.WaitFor(pending.task));
    }
    RM_RETURN_IF_ERROR(link_.replica->Apply(pending.step, averages_[pending.step % 2]));
    marks_.StepEnded(pending.step);
    return absl::OkStatus();
  }

  const WorkerLink link_;
  std::vector<BucketGradient> averages_[2];  // by parity of the step and bucket; the step thread's
  std::optional<Pending> pending_;           // the step thread's
  const std::unique_ptr<GradientSum> sum_;   // the exchange thread's until Stop
  ReplicaMarks marks_;                       // the step thread's
  ExchangeThread exchange_;                  // last: its thread uses the above
};

}  // namespace

absl::StatusOr<std::unique_ptr<SyncStrategy>> CreateDelayedStrategy(const WorkerLink& link) {
  RM_ASSIGN_OR_RETURN(auto sum, CreateExecutorSum(link));
  return std::make_unique<DelayedStrategy>(link, std::move(sum));
}

}  // namespace ringmaster
