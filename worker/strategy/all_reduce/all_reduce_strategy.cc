#include "worker/strategy/all_reduce/all_reduce_strategy.h"

#include <optional>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/codec/codec.h"
#include "common/engine/engines.h"
#include "common/scheme/gradient_arenas.h"
#include "common/scheme/registry.h"
#include "proto/run_spec.pb.h"
#include "worker/strategy/all_reduce/engine_sum.h"
#include "worker/strategy/all_reduce/executor_sum.h"
#include "worker/strategy/all_reduce/gradient_sum.h"
#include "worker/strategy/all_reduce/reducer_sum.h"
#include "worker/strategy/exchange_thread.h"
#include "worker/strategy/replica_marks.h"

namespace ringmaster {
namespace {

class AllReduceStrategy : public SyncStrategy {
 public:
  AllReduceStrategy(const WorkerLink& link, std::unique_ptr<GradientSum> sum)
      : link_(link),
        delay_(TraitsOf(*link.spec).delay),
        sum_(std::move(sum)),
        marks_(link),
        exchange_(2 * (link.layout->buckets().size() + 1), link.spec->training().warmup_steps(),
                  *sum_, link.exchange_recorder) {
    RM_CHECK(delay_ == 0 || delay_ == 1);
    for (std::vector<BucketGradient>& average : averages_)
      average.resize(link.layout->buckets().size());
    exchange_.TimeFrom(link.timed_from);
  }

  GradientRequest Gradients() const override {
    GradientRequest request = sum_->Gradients();
    request.steps = GradientArenas(TraitsOf(*link_.spec));
    return request;
  }

  absl::Status BeginStep(int64_t step) override { return exchange_.status(); }

  absl::Status GradReady(int64_t step, const Bucket& bucket,
                         const BucketGradient& gradient) override {
    // A sum is made on the device only of what stays there (EngineSum).
    const bool on_device = gradient.form() == GradientForm::kDevice;
    averages_[step % 2][bucket.id] = on_device ? gradient : BucketGradient::OnHost(gradient.sum());
    exchange_.Post({ExchangeTask::Kind::kBucket, step, bucket.id, gradient, link_.lot(step)});
    return exchange_.status();
  }

  absl::Status EndStep(int64_t step) override {
    std::optional<Sum> due = Sum{step, exchange_.Post({ExchangeTask::Kind::kEndStep, step})};
    if (delay_ > 0) due.swap(late_);
    return Apply(due);
  }

  absl::Status Drain() override { return Apply(std::exchange(late_, std::nullopt)); }

  WeightsView ModelWeights() const override { return link_.replica->weights(); }

  absl::StatusOr<MarkedModel> Recall(int32_t mark) override { return marks_.Recall(mark); }

  // After Drain no sum is under way.
  State Give() const override { return sum_->Give(); }
  int64_t state_bytes() const override { return sum_->state_bytes(); }
  absl::Status Take(const State& state) override { return sum_->Take(state); }

  ExchangeReport Report() override {
    ExchangeReport report;
    report.status = exchange_.WaitForAll();
    report.AddTimes(exchange_.times());
    sum_->Describe(&report);
    return report;
  }

  ExchangeReport Finish() override {
    exchange_.Stop();
    const absl::Status left = sum_->Finish();
    ExchangeReport report = Report();
    if (report.status.ok()) report.status = left;
    return report;
  }

 private:
  // Of a step.
  struct Sum {
    int64_t step = 0;
    int64_t task = 0;  // that ends with it
  };

  // Waits for the sum and updates the weights by it, if there is one.
  absl::Status Apply(const std::optional<Sum>& sum) {
    if (!sum.has_value()) return exchange_.status();
    {
      ScopedPhase phase(*link_.step_times, Phase::kExposed);
      RM_RETURN_IF_ERROR(exchange_.WaitFor(sum->task));
    }
    RM_RETURN_IF_ERROR(link_.replica->Apply(sum->step, averages_[sum->step % 2]));
    marks_.StepEnded(sum->step);
    return absl::OkStatus();
  }

  const WorkerLink link_;
  const int32_t delay_;                      // steps for which a sum waits
  std::vector<BucketGradient> averages_[2];  // by parity of the step and bucket; the step thread's
  std::optional<Sum> late_;                  // that waits; the step thread's
  const std::unique_ptr<GradientSum> sum_;   // the exchange thread's until Stop
  ReplicaMarks marks_;                       // the step thread's
  ExchangeThread exchange_;                  // last: its thread uses the above
};

absl::StatusOr<std::unique_ptr<GradientSum>> CreateSum(const WorkerLink& link) {
  if (IsEngine(link.spec->strategy().all_reduce().collective())) return CreateEngineSum(link);
  if (FindReducer(link.spec->codec().name()) != nullptr) return CreateReducerSum(link);
  return CreateExecutorSum(link);
}

}  // namespace

absl::StatusOr<std::unique_ptr<SyncStrategy>> CreateAllReduceStrategy(const WorkerLink& link) {
  RM_ASSIGN_OR_RETURN(auto sum, CreateSum(link));
  return std::make_unique<AllReduceStrategy>(link, std::move(sum));
}

}  // namespace ringmaster
