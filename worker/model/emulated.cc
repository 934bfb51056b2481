#include "worker/model/emulated.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/interruptible_sleep.h"
#include "common/base/status_macros.h"

namespace ringmaster {
namespace {

using Clock = std::chrono::steady_clock;

class EmulatedModel : public Model {
 public:
  EmulatedModel(std::unique_ptr<Model> real, EmulatedTimes times, KernelLibrary& kernels)
      : real_(std::move(real)),
        forward_(absl::ToChronoNanoseconds(times.forward)),
        backward_(absl::ToChronoNanoseconds(times.backward)),
        interrupted_(std::move(times.interrupted)),
        kernels_(kernels) {
    zeroed_.reserve(kArenas);
  }

  const ParamLayout& layout() const override { return real_->layout(); }
  void InitWeights(uint64_t seed, absl::Span<float> weights) const override {
    real_->InitWeights(seed, weights);
  }

  absl::Status Forward(const BatchView& batch, TensorView weights) override {
    const Clock::time_point end = Clock::now() + forward_;
    training_ = batch.training;
    forwarded_ = true;
    count_ = batch.count;
    return SleepUntil(end, interrupted_);
  }

  absl::Status Backward(TensorView weights, TensorView gradients, BucketReady ready) override {
    const Clock::time_point begin = Clock::now();
    if (!forwarded_ || !training_) {
      return absl::FailedPreconditionError(
          "backward of an emulated model: there was no forward of a training batch");
    }
    forwarded_ = false;
    RM_RETURN_IF_ERROR(Zero(gradients));
    for (const Bucket& bucket : layout().buckets()) {
      const double share =
          static_cast<double>(bucket.end()) / static_cast<double>(layout().count());
      const std::chrono::nanoseconds over(
          static_cast<int64_t>(static_cast<double>(backward_.count()) * share));
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
  // A step's gradients lie in one of a few arenas, which stay zero: sums of zeros are.
  static constexpr size_t kArenas = 8;

  absl::Status Zero(const TensorView& gradients) {
    if (std::find(zeroed_.begin(), zeroed_.end(), gradients.data) != zeroed_.end())
      return absl::OkStatus();
    zeroed_.push_back(gradients.data);
    return kernels_.Run(FillZeroCall{gradients.data, layout().count()});
  }

  const std::unique_ptr<Model> real_;
  const std::chrono::nanoseconds forward_;
  const std::chrono::nanoseconds backward_;
  const std::function<absl::Status()> interrupted_;
  KernelLibrary& kernels_;
  std::vector<const float*> zeroed_;  // arenas
  bool forwarded_ = false;
  bool training_ = false;
  int64_t count_ = 1;
};

}  // namespace

std::unique_ptr<Model> CreateEmulatedModel(std::unique_ptr<Model> real, EmulatedTimes times,
                                           KernelLibrary& kernels) {
  return std::make_unique<EmulatedModel>(std::move(real), std::move(times), kernels);
}

}  // namespace ringmaster
