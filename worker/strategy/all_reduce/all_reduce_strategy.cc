#include "worker/strategy/all_reduce/all_reduce_strategy.h"

#include <utility>

#include "common/base/status_macros.h"
#include "common/engine/engines.h"
#include "worker/strategy/all_reduce/engine_sum.h"
#include "worker/strategy/all_reduce/executor_sum.h"
#include "worker/strategy/all_reduce/gradient_sum.h"
#include "worker/strategy/exchange_thread.h"
#include "worker/strategy/local_update.h"

namespace ringmaster {
namespace {

class AllReduceStrategy : public SyncStrategy {
 public:
  AllReduceStrategy(const WorkerLink& link, std::unique_ptr<GradientSum> sum)
      : link_(link),
        update_(link),
        sum_(std::move(sum)),
        exchange_(2 * (link.layout->buckets().size() + 1), link.spec->training().warmup_steps(), *sum_,
                  link.exchange_recorder) {}

  absl::Status BeginStep(int64_t step) override { return exchange_.status(); }

  absl::Status GradReady(int64_t step, const Bucket& bucket, absl::Span<float> gradient) override {
    update_.Remember(bucket, gradient);
    exchange_.Post({ExchangeTask::Kind::kBucket, step, bucket.id, gradient});
    return exchange_.status();
  }

  absl::Status EndStep(int64_t step) override {
    {
      ScopedPhase phase(*link_.step_times, Phase::kExposed);
      RM_RETURN_IF_ERROR(exchange_.WaitFor(exchange_.Post({ExchangeTask::Kind::kEndStep, step})));
    }
    update_.Apply(step);
    return absl::OkStatus();
  }

  absl::Status Drain() override { return exchange_.status(); }

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
  const WorkerLink link_;
  LocalUpdate update_;         // the step thread's
  const std::unique_ptr<GradientSum> sum_;  // the exchange thread's until Stop
  ExchangeThread exchange_;    // last: its thread uses the above
};

}  // namespace

absl::StatusOr<std::unique_ptr<SyncStrategy>> CreateAllReduceStrategy(const WorkerLink& link) {
  const bool ours = !IsEngine(link.spec->strategy().all_reduce().collective());
  RM_ASSIGN_OR_RETURN(auto sum, ours ? CreateExecutorSum(link) : CreateEngineSum(link));
  return std::make_unique<AllReduceStrategy>(link, std::move(sum));
}

}  // namespace ringmaster
