#include "worker/strategy/sharded_optimizer/sharded_optimizer_strategy.h"

#include <utility>
#include <vector>

#include "common/base/element_type.h"
#include "common/base/status_macros.h"
#include "common/collective/executor.h"
#include "common/collective/halves.h"
#include "common/collective/owned_chunks.h"
#include "common/scheme/group_order.h"
#include "common/transport/wake.h"
#include "proto/run_spec.pb.h"
#include "worker/strategy/exchange_thread.h"
#include "worker/strategy/replica_marks.h"
#include "worker/strategy/run_group.h"

namespace ringmaster {
namespace {

std::vector<int32_t> OrderOf(const WorkerLink& link) {
  return RanksByPlace(link.spec->strategy().group_order(), link.workers);
}

// What the exchange thread does: one half of the ring for each task of a bucket, several at once.
class RingHalves : public ExchangeWork {
 public:
  explicit RingHalves(const WorkerLink& link)
      : scatter_(WithChunksByRank(CreateRingReduceScatter(), OrderOf(link))),
        gather_(WithChunksByRank(CreateRingAllGather(), OrderOf(link))),
        executor_(*link.transport, RunGroup(*link.spec, link.workers),
                  absl::Seconds(link.spec->limits().wait_seconds())),
        wake_(*link.transport, 0) {}

  absl::Status Run(const ExchangeTask& task, PhaseTimes& times) override {
    if (task.kind == ExchangeTask::Kind::kEndStep) {
      while (unfinished()) RM_RETURN_IF_ERROR(AdvanceUntil(0, times));
      return absl::OkStatus();
    }
    ScopedPhase phase(times, Phase::kExchange, task.bucket);
    const Schedule& half = task.kind == ExchangeTask::Kind::kWeights ? *gather_ : *scatter_;
    const absl::Span<float> floats = task.gradient.host();
    auto* bytes = reinterpret_cast<std::byte*>(floats.data());
    return executor_
        .Start(half, task.step, task.bucket, ElementType::kFloat32,
               absl::MakeSpan(bytes, floats.size() * sizeof(float)))
        .status();
  }

  bool unfinished() const override { return executor_.in_flight() > 0; }

  absl::Status Advance(PhaseTimes& times) override {
    RM_ASSIGN_OR_RETURN(const OpId wake, wake_.Arm());
    return AdvanceUntil(wake, times);
  }

  void Wake() override { wake_.Signal(); }

 private:
  absl::Status AdvanceUntil(OpId wake, PhaseTimes& times) {
    ScopedPhase phase(times, Phase::kExchange);
    RM_ASSIGN_OR_RETURN(const bool woken, executor_.Advance(wake));
    if (woken) wake_.Consumed();
    return absl::OkStatus();
  }

  const std::unique_ptr<Schedule> scatter_;
  const std::unique_ptr<Schedule> gather_;
  CollectiveExecutor executor_;
  ringmaster::Wake wake_;
};

class ShardedOptimizerStrategy : public SyncStrategy {
 public:
  explicit ShardedOptimizerStrategy(const WorkerLink& link)
      : link_(link),
        sums_(link.layout->buckets().size()),
        halves_(link),
        marks_(link),
        exchange_(2 * (link.layout->buckets().size() + 1), link.spec->training().warmup_steps(),
                  halves_, link.exchange_recorder) {
    exchange_.TimeFrom(link.timed_from);
  }

  GradientRequest Gradients() const override { return {}; }

  absl::Status BeginStep(int64_t step) override { return exchange_.status(); }

  absl::Status GradReady(int64_t step, const Bucket& bucket,
                         const BucketGradient& gradient) override {
    sums_[bucket.id] = gradient;
    exchange_.Post({ExchangeTask::Kind::kBucket, step, bucket.id, gradient, link_.lot(step)});
    return exchange_.status();
  }

  absl::Status EndStep(int64_t step) override {
    RM_RETURN_IF_ERROR(AwaitBuckets(step));
    RM_RETURN_IF_ERROR(link_.replica->Apply(step, sums_));
    const absl::Span<float> weights = link_.replica->Edit();
    for (const Bucket& bucket : link_.layout->buckets()) {
      exchange_.Post({ExchangeTask::Kind::kWeights, step, bucket.id,
                      BucketGradient::OnHost(weights.subspan(bucket.begin, bucket.count)),
                      link_.lot(step)});
    }
    RM_RETURN_IF_ERROR(AwaitBuckets(step));
    marks_.StepEnded(step);
    return absl::OkStatus();
  }

  absl::Status Drain() override { return exchange_.status(); }

  WeightsView ModelWeights() const override { return link_.replica->weights(); }

  absl::StatusOr<MarkedModel> Recall(int32_t mark) override { return marks_.Recall(mark); }

  // Only weights and update rule outlast a step.
  State Give() const override { return {}; }
  absl::Status Take(const State& state) override { return state.CopyTo({}); }

  ExchangeReport Report() override {
    ExchangeReport report;
    report.status = exchange_.WaitForAll();
    report.AddTimes(exchange_.times());
    report.bucket_collectives.assign(link_.layout->buckets().size(), "ring");
    return report;
  }

  ExchangeReport Finish() override {
    exchange_.Stop();
    return Report();
  }

 private:
  // Until what has been posted of every bucket is through.
  absl::Status AwaitBuckets(int64_t step) {
    ScopedPhase phase(*link_.step_times, Phase::kExposed);
    return exchange_.WaitFor(exchange_.Post({ExchangeTask::Kind::kEndStep, step}));
  }

  const WorkerLink link_;
  std::vector<BucketGradient> sums_;  // of the step, by bucket; the step thread's
  RingHalves halves_;                 // the exchange thread's until Stop
  ReplicaMarks marks_;                // the step thread's
  ExchangeThread exchange_;           // last: its thread uses the above
};

}  // namespace

absl::StatusOr<std::unique_ptr<SyncStrategy>> CreateShardedOptimizerStrategy(
    const WorkerLink& link) {
  return std::make_unique<ShardedOptimizerStrategy>(link);
}

}  // namespace ringmaster
