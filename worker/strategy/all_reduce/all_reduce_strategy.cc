#include "worker/strategy/all_reduce/all_reduce_strategy.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "common/codec/codec.h"
#include "common/codec/error_feedback.h"
#include "common/collective/executor.h"
#include "common/collective/schedule.h"
#include "worker/strategy/exchange_thread.h"
#include "worker/strategy/local_update.h"

namespace ringmaster {
namespace {

// Sums one bucket's gradients over all workers, in place. The exchange thread's.
class GradientSum {
 public:
  GradientSum(const WorkerLink& link, std::unique_ptr<Schedule> schedule, std::unique_ptr<Codec> codec)
      : link_(link),
        schedule_(std::move(schedule)),
        codec_(std::move(codec)),
        feedback_(*codec_, link.layout->count(), link.spec->codec().error_feedback()),
        executor_(*link.transport, link.rank, link.workers, absl::Seconds(link.spec->limits().wait_seconds())) {
    if (codec_->traits().exact) return;
    int64_t capacity = 0;
    for (const Bucket& bucket : link.layout->buckets()) {
      capacity = std::max(capacity, codec_->MaxEncodedBytes(bucket.count));
    }
    // A codec that is summable needs only its own buffer; the others one for every rank's message.
    encoded_.resize(codec_->traits().summable_on_wire ? 1 : link.workers);
    for (std::vector<std::byte>& buffer : encoded_) buffer.resize(capacity);
    received_.resize(link.workers);
  }

  absl::Status Run(const ExchangeTask& task, PhaseTimes& times, int64_t* index_bytes) {
    if (codec_->traits().exact) {
      ScopedPhase phase(times, Phase::kExchange);
      auto* bytes = reinterpret_cast<std::byte*>(task.gradient.data());
      return executor_.AllReduce(*schedule_, task.step, task.bucket, ElementType::kFloat32,
                                 absl::MakeSpan(bytes, task.gradient.size() * sizeof(float)));
    }
    if (link_.workers == 1) return absl::OkStatus();
    return codec_->traits().summable_on_wire ? SumEncoded(task, times) : GatherEncoded(task, times, index_bytes);
  }

 private:
  absl::Span<std::byte> Encode(const ExchangeTask& task, std::vector<std::byte>* out, PhaseTimes& times) {
    ScopedPhase phase(times, Phase::kEncode);
    const uint64_t seed = MixSeed(MixSeed(link_.spec->training().seed(), task.step), task.bucket * 4096 + link_.rank);
    const Bucket& bucket = link_.layout->buckets()[task.bucket];
    const int64_t size = feedback_.Encode(bucket.begin, task.gradient, seed, absl::MakeSpan(*out));
    return absl::MakeSpan(*out).first(size);
  }

  absl::Status SumEncoded(const ExchangeTask& task, PhaseTimes& times) {
    absl::Span<std::byte> own = Encode(task, &encoded_[0], times);
    {
      ScopedPhase phase(times, Phase::kExchange);
      RM_RETURN_IF_ERROR(executor_.AllReduce(*schedule_, task.step, task.bucket, ElementType::kFloat16, own));
    }
    ScopedPhase phase(times, Phase::kReduce);
    return codec_->Decode(own, task.gradient);
  }

  absl::Status GatherEncoded(const ExchangeTask& task, PhaseTimes& times, int64_t* index_bytes) {
    absl::Span<std::byte> own = Encode(task, &encoded_[link_.rank], times);
    *index_bytes += codec_->IndexBytes(own.size()) * (link_.workers - 1);
    for (int32_t rank = 0; rank < link_.workers; ++rank) received_[rank] = absl::MakeSpan(encoded_[rank]);
    {
      ScopedPhase phase(times, Phase::kExchange);
      RM_RETURN_IF_ERROR(executor_.AllGather(task.step, task.bucket, own, absl::MakeSpan(received_)));
    }
    received_[link_.rank] = own;
    ScopedPhase phase(times, Phase::kReduce);
    RM_RETURN_IF_ERROR(codec_->Decode(received_[0], task.gradient));
    for (int32_t rank = 1; rank < link_.workers; ++rank) {
      RM_RETURN_IF_ERROR(codec_->DecodeAdd(received_[rank], task.gradient));
    }
    return absl::OkStatus();
  }

  const WorkerLink link_;
  const std::unique_ptr<Schedule> schedule_;
  const std::unique_ptr<Codec> codec_;
  ErrorFeedback feedback_;
  CollectiveExecutor executor_;
  std::vector<std::vector<std::byte>> encoded_;
  std::vector<absl::Span<std::byte>> received_;
};

class AllReduceStrategy : public SyncStrategy {
 public:
  AllReduceStrategy(const WorkerLink& link, std::unique_ptr<Schedule> schedule, std::unique_ptr<Codec> codec)
      : link_(link),
        update_(link),
        sum_(link, std::move(schedule), std::move(codec)),
        exchange_(2 * link.layout->buckets().size(), link.spec->training().warmup_steps(),
                  [this](const ExchangeTask& task, PhaseTimes& times) {
                    return sum_.Run(task, times, &report_.index_bytes);
                  }) {}

  absl::Status BeginStep(int64_t step) override { return exchange_.status(); }

  absl::Status GradReady(int64_t step, const Bucket& bucket, absl::Span<float> gradient) override {
    update_.Remember(bucket, gradient);
    last_task_ = exchange_.Post({ExchangeTask::Kind::kBucket, step, bucket.id, gradient});
    return exchange_.status();
  }

  absl::Status EndStep(int64_t step) override {
    {
      ScopedPhase phase(*link_.step_times, Phase::kExposed);
      RM_RETURN_IF_ERROR(exchange_.WaitFor(last_task_));
    }
    update_.Apply(step);
    return absl::OkStatus();
  }

  absl::Status Drain() override { return exchange_.status(); }

  ExchangeReport Finish() override {
    exchange_.Stop();
    report_.AddTimes(exchange_.times());
    report_.status = exchange_.status();
    return report_;
  }

 private:
  const WorkerLink link_;
  LocalUpdate update_;         // the step thread's
  GradientSum sum_;            // the exchange thread's
  ExchangeReport report_;      // the exchange thread's until Stop
  int64_t last_task_ = 0;      // the step thread's
  ExchangeThread exchange_;    // last: its thread uses the above
};

}  // namespace

absl::StatusOr<std::unique_ptr<SyncStrategy>> CreateAllReduceStrategy(const WorkerLink& link) {
  RM_ASSIGN_OR_RETURN(auto schedule, CreateSchedule(link.spec->strategy().all_reduce().collective()));
  RM_ASSIGN_OR_RETURN(auto codec, CreateCodec(link.spec->codec()));
  return std::make_unique<AllReduceStrategy>(link, std::move(schedule), std::move(codec));
}

}  // namespace ringmaster
