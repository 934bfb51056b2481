#include "worker/model/sequential.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/fingerprint.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"

namespace ringmaster {
namespace {

constexpr int64_t kFloatBytes = sizeof(float);

// All parameters in the order backward finishes them.
std::vector<Param> ParamsInArenaOrder(const LayerList& layers) {
  std::vector<Param> params;
  for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) {
    for (const LayerParam& param : (*layer)->params()) {
      params.push_back({param.name, param.shape, 0, 0, param.statistic});
    }
  }
  return params;
}

void InitParam(const LayerParam& param, uint64_t seed, float* out) {
  // A stream by name: a tensor starts the same wherever it stands.
  Random random(MixSeed(seed, Fingerprint64(absl::string_view(param.name))));
  const int64_t count = ElementCount(param);
  switch (param.init) {
    case Init::kUniform: {
      // 2u - 1 is exact, so there is one rounding.
      const float bound = static_cast<float>(std::sqrt(1.0 / static_cast<double>(param.fan_in)));
      for (int64_t i = 0; i < count; ++i) out[i] = bound * (2.0f * random.Uniform() - 1.0f);
      return;
    }
    case Init::kNormal:
      for (int64_t i = 0; i < count; ++i) out[i] = param.deviation * random.Normal();
      return;
    case Init::kZeros:
      std::fill(out, out + count, 0.0f);
      return;
    case Init::kOnes:
      std::fill(out, out + count, 1.0f);
      return;
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Model>> Sequential::Create(LayerList layers,
                                                          const ModelOptions& options,
                                                          KernelLibrary& kernels) {
  RM_CHECK(!layers.empty() &&
           layers.back()->output_elements() == options.shape.labels() * options.shape.classes);
  RM_CHECK(!layers.front()->in_place());
  for (size_t i = 1; i < layers.size(); ++i) {
    RM_CHECK(!(layers[i - 1]->output_is_kept() && layers[i]->in_place()));
  }
  if (options.max_batch < 1 || options.bucket_bytes < kFloatBytes) {
    return absl::InvalidArgumentError(absl::StrCat("model with max_batch=", options.max_batch,
                                                   " bucket_bytes=", options.bucket_bytes,
                                                   ": a batch holds at least 1 sample and a bucket "
                                                   "at least ",
                                                   kFloatBytes, " bytes"));
  }
  std::unique_ptr<Sequential> model(new Sequential(std::move(layers), options, kernels));
  RM_RETURN_IF_ERROR(Annotate(
      model->AllocateActivations(),
      absl::StrCat("activations of ", options.max_batch, " samples (a smaller batch needs less)")));
  model->PlanBackward();
  return std::unique_ptr<Model>(std::move(model));
}

Sequential::Sequential(LayerList layers, const ModelOptions& options, KernelLibrary& kernels)
    : layers_(std::move(layers)),
      options_(options),
      kernels_(kernels),
      layout_(ParamsInArenaOrder(layers_), options.bucket_bytes / kFloatBytes,
              options.bucket_layout) {
  param_begin_.resize(layers_.size());
  param_count_.resize(layers_.size());
  int64_t begin = 0;
  for (size_t i = layers_.size(); i-- > 0;) {
    param_begin_[i] = begin;
    for (const LayerParam& param : layers_[i]->params()) begin += ElementCount(param);
    param_count_[i] = begin - param_begin_[i];
    if (param_count_[i] > 0) first_with_params_ = i;
  }
  RM_CHECK(begin == layout_.count());
  shared_begin_.resize(layers_.size(), -1);
  for (size_t i = 0; i < layers_.size(); ++i) {
    for (size_t below = 0; below < i; ++below) {
      if (layers_[i]->shares() == layers_[below].get()) shared_begin_[i] = param_begin_[below];
    }
    RM_CHECK((layers_[i]->shares() == nullptr) == (shared_begin_[i] < 0));
  }
}

absl::Status Sequential::AllocateActivations() {
  int64_t largest = 0;
  for (const std::unique_ptr<Layer>& layer : layers_) {
    const int64_t count = layer->output_elements() * options_.max_batch;
    largest = std::max(largest, count);
    if (!layer->in_place()) {
      RM_ASSIGN_OR_RETURN(Buffer output, kernels_.Allocate(count * kFloatBytes));
      activations_.push_back(std::move(output));
    }
    outputs_.push_back(activations_.back().floats());
  }
  for (Buffer& gradient : gradients_) {
    RM_ASSIGN_OR_RETURN(gradient, kernels_.Allocate(largest * kFloatBytes));
  }
  RM_ASSIGN_OR_RETURN(
      logit_gradient_,
      kernels_.Allocate(options_.max_batch * layers_.back()->output_elements() * kFloatBytes));
  const int64_t score_bytes = 2 * options_.max_batch * options_.shape.labels() * kFloatBytes;
  RM_ASSIGN_OR_RETURN(scores_, kernels_.Allocate(score_bytes));
  RM_ASSIGN_OR_RETURN(host_scores_, kernels_.AllocateStaging(score_bytes));
  return absl::OkStatus();
}

void Sequential::PlanBackward() {
  size_t next_buffer = 0;
  float* output_gradient = logit_gradient_.floats();
  BackwardStretch stretch;
  for (size_t i = layers_.size(); i-- > first_with_params_;) {
    backward_calls_.push_back({i, false, output_gradient, nullptr});
    const int64_t finished = param_begin_[i] + param_count_[i];
    stretch.calls_end = backward_calls_.size();
    while (stretch.buckets_end < layout_.buckets().size() &&
           layout_.buckets()[stretch.buckets_end].end() <= finished) {
      ++stretch.buckets_end;
    }
    if (stretch.buckets_end > stretch.buckets_begin) {
      backward_stretches_.push_back(stretch);
      stretch.calls_begin = stretch.calls_end;
      stretch.buckets_begin = stretch.buckets_end;
    }
    if (i == first_with_params_) break;
    float* const of_output = output_gradient;
    if (!layers_[i]->in_place()) {
      output_gradient = gradients_[next_buffer].floats();
      next_buffer = 1 - next_buffer;
    }
    backward_calls_.push_back({i, true, of_output, output_gradient});
  }
  RM_CHECK(stretch.buckets_end == layout_.buckets().size());
}

void Sequential::InitWeights(uint64_t seed, absl::Span<float> weights) const {
  RM_CHECK(static_cast<int64_t>(weights.size()) == layout_.count());
  float* out = weights.data();
  for (auto layer = layers_.rbegin(); layer != layers_.rend(); ++layer) {
    for (const LayerParam& param : (*layer)->params()) {
      InitParam(param, seed, out);
      out += ElementCount(param);
    }
  }
}

absl::Status Sequential::CheckArena(const char* which, const TensorView& arena) const {
  if (arena.data != nullptr && arena.count() == layout_.count() &&
      arena.place == kernels_.place()) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat(which, " of ", arena.count(), " floats in place ", static_cast<int>(arena.place),
                   ": the model has ", layout_.count(), " and kernel library \"", kernels_.name(),
                   "\" works in place ", static_cast<int>(kernels_.place())));
}

absl::Status Sequential::CheckBatch(const BatchView& batch) const {
  const bool of_texts = options_.shape.context > 0;
  const bool has_samples = of_texts ? batch.tokens != nullptr : batch.features != nullptr;
  if (batch.count >= 1 && batch.count <= options_.max_batch && has_samples &&
      batch.labels != nullptr) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "forward: a batch of ", batch.count, " samples with", batch.features == nullptr ? "out" : "",
      " features, with", batch.tokens == nullptr ? "out" : "", " tokens and with",
      batch.labels == nullptr ? "out" : "", " labels: the model was made for 1 to ",
      options_.max_batch, of_texts ? " texts" : " images", " with labels"));
}

LayerCall Sequential::CallOf(size_t index, const float* weights) const {
  LayerCall call;
  call.batch = batch_.count;
  call.training = batch_.training;
  call.dropout_seed = batch_.dropout_seed;
  call.tokens = batch_.tokens;
  call.weights = weights + param_begin_[index];
  if (shared_begin_[index] >= 0) call.shared_weights = weights + shared_begin_[index];
  call.input = index == 0 ? batch_.features : outputs_[index - 1];
  call.output = outputs_[index];
  return call;
}

absl::Status Sequential::Forward(const BatchView& batch, TensorView weights) {
  batch_ = BatchView();
  backward_is_due_ = false;
  RM_RETURN_IF_ERROR(CheckArena("forward: weights", weights));
  RM_RETURN_IF_ERROR(CheckBatch(batch));
  batch_ = batch;
  PlanForward(weights.data);
  RM_RETURN_IF_ERROR(kernels_.RunSegment(operations_));
  backward_is_due_ = true;
  return absl::OkStatus();
}

void Sequential::PlanForward(const float* weights) {
  operations_.clear();
  for (size_t i = 0; i < layers_.size(); ++i) layers_[i]->Forward(CallOf(i, weights), &operations_);
  SoftmaxCrossEntropyCall loss;
  loss.rows = rows();
  loss.classes = options_.shape.classes;
  loss.logits = outputs_.back();
  loss.labels = batch_.labels;
  loss.row_loss = scores_.floats();
  loss.row_correct = scores_.floats() + rows();
  loss.gradient = logit_gradient_.floats();
  loss.gradient_scale = batch_.gradient_scale / static_cast<float>(rows());
  operations_.emplace_back(loss);
}

absl::Status Sequential::Backward(TensorView weights, TensorView gradients, BucketReady ready) {
  RM_RETURN_IF_ERROR(CheckArena("backward: weights", weights));
  RM_RETURN_IF_ERROR(CheckArena("backward: gradients", gradients));
  if (!backward_is_due_) {
    return absl::FailedPreconditionError(
        "backward without a batch: each needs a successful Forward before it");
  }
  if (!batch_.training) {
    return absl::FailedPreconditionError(
        "backward of a batch for evaluation: norms and dropout did not train on it");
  }
  backward_is_due_ = false;  // what Forward left is consumed on the way down
  for (const BackwardStretch& stretch : backward_stretches_) {
    PlanStretch(stretch, weights.data, gradients.data);
    RM_RETURN_IF_ERROR(kernels_.RunSegment(operations_));
    for (size_t bucket = stretch.buckets_begin; bucket < stretch.buckets_end; ++bucket) {
      RM_RETURN_IF_ERROR(ready(layout_.buckets()[bucket]));
    }
  }
  return absl::OkStatus();
}

void Sequential::PlanStretch(const BackwardStretch& stretch, const float* weights,
                             float* gradients) {
  operations_.clear();
  for (size_t i = stretch.calls_begin; i < stretch.calls_end; ++i) {
    const BackwardCall& planned = backward_calls_[i];
    Layer& layer = *layers_[planned.layer];
    LayerCall call = CallOf(planned.layer, weights);
    call.gradients = gradients + param_begin_[planned.layer];
    if (shared_begin_[planned.layer] >= 0)
      call.shared_gradients = gradients + shared_begin_[planned.layer];
    call.output_gradient = planned.output_gradient;
    call.input_gradient = planned.input_gradient;
    if (planned.of_input) {
      layer.InputGradient(call, &operations_);
    } else {
      layer.ParamGradient(call, &operations_);
    }
  }
}

absl::StatusOr<BatchScore> Sequential::Score() {
  if (batch_.count == 0) {
    return absl::FailedPreconditionError("score without a batch: Forward must succeed before it");
  }
  RM_RETURN_IF_ERROR(
      kernels_.CopyToHost(scores_.data(), host_scores_.data(), 2 * rows() * kFloatBytes));
  RM_RETURN_IF_ERROR(kernels_.Finish());
  BatchScore score;
  score.count = rows();
  for (int64_t i = 0; i < rows(); ++i) {
    score.loss_sum += host_scores_.floats()[i];
    score.correct += host_scores_.floats()[rows() + i] > 0.0f ? 1 : 0;
  }
  return score;
}

absl::Status Sequential::ScoreRows(absl::Span<float> losses, absl::Span<int32_t> predictions) {
  if (!backward_is_due_) {
    return absl::FailedPreconditionError(
        "scores of rows without a batch: Forward must succeed before it");
  }
  const int64_t rows = this->rows();
  const int64_t classes = options_.shape.classes;
  RM_CHECK(static_cast<int64_t>(losses.size()) == rows && losses.size() == predictions.size());
  host_logits_.resize(rows * classes);
  RM_RETURN_IF_ERROR(kernels_.CopyToHost(scores_.data(), losses.data(), rows * kFloatBytes));
  RM_RETURN_IF_ERROR(
      kernels_.CopyToHost(outputs_.back(), host_logits_.data(), rows * classes * kFloatBytes));
  RM_RETURN_IF_ERROR(kernels_.Finish());
  for (int64_t row = 0; row < rows; ++row) {
    const float* logits = host_logits_.data() + row * classes;
    predictions[row] = static_cast<int32_t>(std::max_element(logits, logits + classes) - logits);
  }
  return absl::OkStatus();
}

}  // namespace ringmaster
