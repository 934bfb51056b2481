#include "worker/model/emulated.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/interruptible_sleep.h"
#include "common/base/partition.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"

namespace ringmaster {
namespace {

using Clock = std::chrono::steady_clock;

// Names the stream of emulated gradients among those of the training seed.
constexpr uint64_t kGradientStream = 0x656d756c61746564;

class EmulatedModel : public Model {
 public:
  EmulatedModel(std::unique_ptr<Model> real, EmulatedTimes times,
                const EmulatedGradients& gradients, KernelLibrary& kernels)
      : real_(std::move(real)),
        forward_(absl::ToChronoNanoseconds(times.forward)),
        backward_(absl::ToChronoNanoseconds(times.backward)),
        interrupted_(std::move(times.interrupted)),
        slowed_(std::move(times.slowed)),
        gradients_(gradients),
        kernels_(kernels) {}

  // Draws anew, for batches of this scale.
  absl::Status Draw(float scale) {
    const int64_t count = layout().count();
    std::vector<float> values(count);
    Random random(MixSeed(gradients_.seed, kGradientStream));
    for (float& value : values) value = EmulatedGradients::kDeviation * random.Normal() * scale;
    if (draw_.size_bytes() == 0) {
      RM_ASSIGN_OR_RETURN(draw_, kernels_.Allocate(count * static_cast<int64_t>(sizeof(float))));
    }
    RM_RETURN_IF_ERROR(kernels_.CopyFromHost(values.data(), draw_.data(), draw_.size_bytes()));
    gradients_.scale = scale;
    return kernels_.Finish();
  }

  const ParamLayout& layout() const override { return real_->layout(); }
  void InitWeights(uint64_t seed, absl::Span<float> weights) const override {
    real_->InitWeights(seed, weights);
  }

  absl::Status Forward(const BatchView& batch, TensorView weights) override {
    const Clock::time_point end = Clock::now() + Slowed(forward_);
    training_ = batch.training;
    forwarded_ = true;
    count_ = batch.count;
    rank_ = batch.number / gradients_.batches_a_rank % gradients_.ranks;
    if (training_ && batch.gradient_scale != gradients_.scale)
      RM_RETURN_IF_ERROR(Draw(batch.gradient_scale));
    return SleepUntil(end, interrupted_);
  }

  absl::Status Backward(TensorView weights, TensorView gradients, BucketReady ready) override {
    const Clock::time_point begin = Clock::now();
    if (!forwarded_ || !training_) {
      return absl::FailedPreconditionError(
          "backward of an emulated model: there was no forward of a training batch");
    }
    forwarded_ = false;
    const auto backward = static_cast<double>(Slowed(backward_).count());
    for (const Bucket& bucket : layout().buckets()) {
      RM_RETURN_IF_ERROR(Write(bucket, gradients));
      const double share =
          static_cast<double>(bucket.end()) / static_cast<double>(layout().count());
      const std::chrono::nanoseconds over(static_cast<int64_t>(backward * share));
      RM_RETURN_IF_ERROR(SleepUntil(begin + over, interrupted_));
      RM_RETURN_IF_ERROR(ready(bucket));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<BatchScore> Score() override { return BatchScore{0, 0, count_}; }

  absl::Status ScoreRows(absl::Span<float> losses, absl::Span<int32_t> predictions) override {
    return absl::FailedPreconditionError(
        absl::StrCat("scores of ", losses.size(),
                     " labels: nothing is computed under training.emulated_compute; leave it out "
                     "to score samples"));
  }

 private:
  std::chrono::nanoseconds Slowed(std::chrono::nanoseconds time) const {
    if (!slowed_) return time;
    return std::chrono::nanoseconds(
        static_cast<int64_t>(static_cast<double>(time.count()) * slowed_()));
  }

  // The rank's gradients of `bucket`.
  absl::Status Write(const Bucket& bucket, const TensorView& gradients) {
    const int64_t count = layout().count();
    const int64_t places = CeilDiv(count, gradients_.ranks);
    int64_t from = (bucket.begin + rank_ * places) % count;
    for (int64_t to = bucket.begin; to < bucket.end();) {
      const int64_t size = std::min(bucket.end() - to, count - from);
      RM_RETURN_IF_ERROR(
          kernels_.Run(CopyFloatsCall{draw_.floats() + from, gradients.data + to, size}));
      to += size;
      from = 0;
    }
    return absl::OkStatus();
  }

  const std::unique_ptr<Model> real_;
  const std::chrono::nanoseconds forward_;
  const std::chrono::nanoseconds backward_;
  const std::function<absl::Status()> interrupted_;
  const std::function<double()> slowed_;
  EmulatedGradients gradients_;  // its scale is that of draw_
  KernelLibrary& kernels_;
  Buffer draw_;       // [layout().count()], in the library's place
  int64_t rank_ = 0;  // whose lot the batch is of
  bool forwarded_ = false;
  bool training_ = false;
  int64_t count_ = 1;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Model>> CreateEmulatedModel(std::unique_ptr<Model> real,
                                                           EmulatedTimes times,
                                                           const EmulatedGradients& gradients,
                                                           KernelLibrary& kernels) {
  auto model =
      std::make_unique<EmulatedModel>(std::move(real), std::move(times), gradients, kernels);
  RM_RETURN_IF_ERROR(model->Draw(gradients.scale));
  return model;
}

}  // namespace ringmaster
