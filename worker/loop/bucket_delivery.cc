#include "worker/loop/bucket_delivery.h"

#include "absl/types/span.h"
#include "common/base/status_macros.h"
#include "common/vecmath/vecmath.h"

namespace ringmaster {

absl::StatusOr<std::unique_ptr<BucketDelivery>> BucketDelivery::Create(const DeliveryParts& parts) {
  std::unique_ptr<BucketDelivery> delivery(new BucketDelivery(parts));
  const TrainingSpec& training = parts.setup->spec->training();
  StagerOptions staging;
  staging.statistic_scale = parts.statistic_scale;
  staging.accumulate = parts.shape.accumulate;
  staging.workers = training.workers();
  staging.deterministic = training.deterministic();
  staging.deterministic_bits = training.deterministic_bits();
  staging.request = parts.strategy->Gradients();
  staging.codec = &parts.setup->spec->codec();
  delivery->steps_ = staging.request.steps;
  const int32_t slots =
      delivery->steps_ + (parts.shape.shares > 1 ? 1 : 0) + (parts.shape.accumulate > 1 ? 1 : 0);
  KernelLibrary& kernels = *parts.setup->kernels;
  RM_ASSIGN_OR_RETURN(delivery->stager_, Stager::Create(kernels, delivery->layout_, staging, slots,
                                                        parts.setup->allocate_exchange));
  if (kernels.place() == Place::kDevice) {
    RM_ASSIGN_OR_RETURN(delivery->forward_end_, kernels.CreatePoint());
  }
  return delivery;
}

absl::Status BucketDelivery::ForwardCalled() {
  return forward_end_ == nullptr ? absl::OkStatus() : parts_.setup->kernels->Mark(*forward_end_);
}

TensorView BucketDelivery::Begin(const MicroBatch& micro_batch) {
  micro_batch_ = micro_batch;
  finished_ = delivered_ = 0;
  backward_since_ = Clock::now();
  parts_.slowdown->Begin();
  return stager_->gradients(Slot());
}

// The steps whose gradients may be under way at once take turns with so many arenas. Behind them
// lie the sum of another rank than the first, and what is yet to be added to a rank's sum.
int32_t BucketDelivery::SumSlot(int32_t share) const {
  return share == 0 ? static_cast<int32_t>(micro_batch_.step % steps_) : steps_;
}

int32_t BucketDelivery::Slot() const {
  if (micro_batch_.index == 0) return SumSlot(micro_batch_.share);
  return steps_ + (parts_.shape.shares > 1 ? 1 : 0);
}

absl::Status BucketDelivery::BucketDone(const Bucket& bucket) {
  RM_RETURN_IF_ERROR(stager_->StartFetch(Slot(), bucket));
  ++finished_;
  WorkerProgress& progress = *parts_.setup->progress;
  progress.bucket.store(bucket.id, std::memory_order_relaxed);
  progress.work.fetch_add(1, std::memory_order_relaxed);
  // A rank that is slowed down computes nothing more before its sleep.
  RM_RETURN_IF_ERROR(DeliverBuckets(/*wait=*/parts_.slowdown->factor() != 1));
  parts_.slowdown->Begin();
  return absl::OkStatus();
}

absl::Status BucketDelivery::DeliverRest() { return DeliverBuckets(/*wait=*/true); }

absl::Status BucketDelivery::DeliverBuckets(bool wait) {
  while (delivered_ < finished_) {
    const Bucket& bucket = layout_.buckets()[delivered_];
    if (!wait) {
      RM_ASSIGN_OR_RETURN(const bool has_come, stager_->HasCome(bucket));
      if (!has_come) break;
    }
    RM_RETURN_IF_ERROR(Deliver(bucket));
    ++delivered_;
  }
  return absl::OkStatus();
}

// Staging and adding happen while backward goes on, or inside its calls; they have phases of their
// own.
absl::Status BucketDelivery::Deliver(const Bucket& bucket) {
  if (delivered_ == 0) RM_RETURN_IF_ERROR(AwaitForward());
  RM_RETURN_IF_ERROR(stager_->AwaitGradient(bucket));
  CountBackward(bucket.id);
  RM_ASSIGN_OR_RETURN(const BucketGradient gradient, Collect(bucket));
  backward_since_ = Clock::now();
  const bool is_last = micro_batch_.index + 1 == parts_.shape.accumulate &&
                       micro_batch_.share + 1 == parts_.shape.shares;
  return is_last ? parts_.strategy->GradReady(micro_batch_.step, bucket, gradient)
                 : absl::OkStatus();
}

absl::Status BucketDelivery::AwaitForward() {
  if (forward_end_ == nullptr) return absl::OkStatus();
  const Clock::time_point called = Clock::now();
  RM_RETURN_IF_ERROR(parts_.replica->AwaitUpdates());
  parts_.slowdown->Begin();  // updates are not slowed down
  const Clock::time_point updated = Clock::now();
  RM_RETURN_IF_ERROR(forward_end_->Await());
  const Clock::time_point now = Clock::now();
  parts_.times->Add(Phase::kForward, backward_since_, called);
  parts_.times->Add(Phase::kForward, updated, now);
  backward_since_ = now;
  return absl::OkStatus();
}

absl::StatusOr<BucketGradient> BucketDelivery::Collect(const Bucket& bucket) {
  BucketGradient gradient;
  {
    ScopedPhase phase(*parts_.times, Phase::kDownload, bucket.id);
    RM_ASSIGN_OR_RETURN(gradient, stager_->Fetch(Slot(), bucket));
  }
  if (parts_.slowdown->factor() != 1) {
    // A device has computed the bucket only now.
    ScopedPhase phase(*parts_.times, Phase::kBackward, bucket.id);
    RM_RETURN_IF_ERROR(parts_.slowdown->Stretch());
  }
  // The additions everybody makes, each gradient from a buffer of its own: a rank's own batches
  // first, (g0 + g1) + ..., then the ranks' sums, (s0 + s1) + ...
  if (micro_batch_.index > 0) AddTo(micro_batch_.share, bucket, &gradient);
  if (micro_batch_.index + 1 == parts_.shape.accumulate && micro_batch_.share > 0)
    AddTo(0, bucket, &gradient);
  return gradient;
}

void BucketDelivery::AddTo(int32_t share, const Bucket& bucket, BucketGradient* gradient) {
  ScopedPhase phase(*parts_.times, Phase::kUpdate, bucket.id);
  const absl::Span<float> sum =
      stager_->host_gradients(SumSlot(share)).subspan(bucket.begin, bucket.count);
  Add(gradient->host(), sum);
  *gradient = BucketGradient::OnHost(sum);
}

}  // namespace ringmaster
