#include "experiments/program/session/session_model.h"

#include <algorithm>
#include <vector>

#include "common/base/partition.h"
#include "common/scheme/registry.h"

namespace ringmaster {
namespace {

class SessionModel : public Model {
 public:
  SessionModel(const RunSpec& spec, const ParamLayout& layout, const std::atomic<int64_t>* step,
               Handover* handover)
      : layout_(layout),
        train_samples_(spec.data().program().train_samples()),
        micro_batches_(MicroBatches(spec)),
        step_(step),
        handover_(*handover) {}

  const ParamLayout& layout() const override { return layout_; }

  // Nobody asks: the program has said what it starts from before there was a model.
  void InitWeights(uint64_t seed, absl::Span<float> weights) const override {
    std::fill(weights.begin(), weights.end(), 0.0f);
  }

  absl::Status Forward(const BatchView& batch, TensorView weights) override {
    ringmaster_moment moment = {};
    moment.kind = batch.training ? RINGMASTER_STEP : RINGMASTER_SCORE;
    moment.sample_count = batch.count;
    moment.samples = batch.labels;  // of a program's samples, their numbers
    moment.weights = weights.data;
    if (!batch.training && batch.labels[0] >= train_samples_) {
      moment.set = RINGMASTER_TEST_SET;
      test_samples_.resize(batch.count);
      for (int64_t i = 0; i < batch.count; ++i)
        test_samples_[i] = batch.labels[i] - static_cast<int32_t>(train_samples_);
      moment.samples = test_samples_.data();
    }
    if (batch.training) {
      moment.gradient_scale = batch.gradient_scale;
      moment.micro_batch = static_cast<int32_t>(batch.number % micro_batches_);
      moment.step = step_->load(std::memory_order_relaxed);
      moment.batch = batch.number;
      moment.seed = batch.dropout_seed;
    }
    return handover_.Offer(moment);
  }

  absl::Status Backward(TensorView weights, TensorView gradients, BucketReady ready) override {
    return handover_.AwaitGradients(gradients.data, ready);
  }

  absl::StatusOr<BatchScore> Score() override { return handover_.score(); }

  absl::Status ScoreRows(absl::Span<float> losses, absl::Span<int32_t> predictions) override {
    return absl::FailedPreconditionError("a program scores batches, not samples one by one");
  }

 private:
  const ParamLayout layout_;
  const int64_t train_samples_;
  const int32_t micro_batches_;
  const std::atomic<int64_t>* const step_;
  Handover& handover_;
  std::vector<int32_t> test_samples_;
};

}  // namespace

int32_t MicroBatches(const RunSpec& spec) {
  const TrainingSpec& training = spec.training();
  return static_cast<int32_t>(ExactDiv(training.workers(), TraitsOf(spec).workers)) *
         training.accumulate();
}

std::unique_ptr<Model> CreateSessionModel(const RunSpec& spec, const ParamLayout& layout,
                                          const std::atomic<int64_t>* step, Handover* handover) {
  return std::make_unique<SessionModel>(spec, layout, step, handover);
}

}  // namespace ringmaster
