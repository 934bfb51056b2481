#include "tests/fairness/example_strategy/example_strategy.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "common/base/status_macros.h"
#include "common/codec/codec.h"
#include "common/collective/executor.h"
#include "common/vecmath/vecmath.h"
#include "proto/run_spec.pb.h"
#include "worker/strategy/replica_marks.h"

namespace ringmaster {
namespace {

class ExampleStrategy : public SyncStrategy {
 public:
  ExampleStrategy(const WorkerLink& link, std::unique_ptr<Codec> codec,
                  const ExampleOptions& options)
      : link_(link),
        options_(options),
        codec_(std::move(codec)),
        executor_(*link.transport, AllWorkers(link.workers),
                  absl::Seconds(link.spec->limits().wait_seconds())),
        gradients_(link.layout->buckets().size()),
        average_(link.layout->buckets().size()),
        sum_(link.layout->count()),
        marks_(link) {
    int64_t largest = 0;
    for (const Bucket& bucket : link.layout->buckets()) largest = std::max(largest, bucket.count);
    messages_.assign(link.workers, std::vector<std::byte>(codec_->MaxEncodedBytes(largest)));
    decoded_.resize(largest);
  }

  // Floats on the host.
  GradientRequest Gradients() const override { return {}; }

  absl::Status BeginStep(int64_t step) override { return status_; }

  absl::Status GradReady(int64_t step, const Bucket& bucket,
                         const BucketGradient& gradient) override {
    gradients_[bucket.id] = gradient.host();
    return status_;
  }

  absl::Status EndStep(int64_t step) override {
    for (const Bucket& bucket : link_.layout->buckets()) {
      if (status_.ok()) status_ = Exchange(step, bucket);
    }
    if (status_.ok()) status_ = link_.replica->Apply(step, average_);
    if (status_.ok()) marks_.StepEnded(step);
    return status_;
  }

  absl::Status Drain() override { return status_; }

  // Every worker's are the same.
  WeightsView ModelWeights() const override { return link_.replica->weights(); }

  absl::StatusOr<MarkedModel> Recall(int32_t mark) override { return marks_.Recall(mark); }

  // Only weights and update rule outlast a step.
  State Give() const override { return {}; }
  absl::Status Take(const State& state) override { return state.CopyTo({}); }

  ExchangeReport Report() override { return {}; }
  ExchangeReport Finish() override { return {}; }

 private:
  absl::Status Exchange(int64_t step, const Bucket& bucket) {
    ScopedPhase phase(*link_.step_times, Phase::kExposed);
    const absl::Span<float> own = gradients_[bucket.id];
    std::vector<absl::Span<std::byte>> received;
    for (std::vector<std::byte>& message : messages_) received.push_back(absl::MakeSpan(message));
    const CodecStream stream =
        BucketStream(link_.spec->training().seed(), {step, link_.lot(step)}, bucket.id);
    const int64_t size = codec_->Encode(stream, own, received[link_.rank]);
    received[link_.rank] = received[link_.rank].first(size);
    RM_RETURN_IF_ERROR(
        executor_.AllGather(step, bucket.id, received[link_.rank], absl::MakeSpan(received)));
    const absl::Span<float> sum = absl::MakeSpan(sum_).subspan(bucket.begin, bucket.count);
    const absl::Span<float> decoded = absl::MakeSpan(decoded_).first(bucket.count);
    for (int32_t rank = 0; rank < link_.workers; ++rank) {
      if (rank == link_.rank && options_.keep_own_undecoded) {
        std::copy(own.begin(), own.end(), decoded.begin());
      } else {
        RM_RETURN_IF_ERROR(codec_->Decode(stream, received[rank], decoded));
      }
      if (rank == 0) {
        std::copy(decoded.begin(), decoded.end(), sum.begin());
      } else {
        Add(decoded, sum);
      }
    }
    if (codec_->traits().majority_vote) ReplaceBySigns(sum);
    average_[bucket.id] = BucketGradient::OnHost(sum);
    return absl::OkStatus();
  }

  const WorkerLink link_;
  const ExampleOptions options_;
  const std::unique_ptr<Codec> codec_;
  CollectiveExecutor executor_;
  std::vector<absl::Span<float>> gradients_;      // by bucket
  std::vector<BucketGradient> average_;           // by bucket, in sum_
  std::vector<std::vector<std::byte>> messages_;  // by rank
  std::vector<float> decoded_;                    // of one bucket
  std::vector<float> sum_;                        // the arena
  ReplicaMarks marks_;
  absl::Status status_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<SyncStrategy>> CreateExampleStrategy(const WorkerLink& link,
                                                                    const ExampleOptions& options) {
  RM_ASSIGN_OR_RETURN(auto codec, CreateCodec(link.spec->codec()));
  return std::make_unique<ExampleStrategy>(link, std::move(codec), options);
}

}  // namespace ringmaster
