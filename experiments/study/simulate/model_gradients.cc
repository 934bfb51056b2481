#include "experiments/study/simulate/model_gradients.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/partition.h"
#include "common/base/status_macros.h"
#include "common/control/dealing.h"
#include "common/scheme/registry.h"
#include "common/vecmath/vecmath.h"
#include "experiments/program/run/worker_parts.h"
#include "proto/run_spec.pb.h"
#include "worker/data/dataset.h"
#include "worker/data/loader.h"
#include "worker/loop/batch_upload.h"
#include "worker/loop/evaluate.h"
#include "worker/loop/not_finite.h"
#include "worker/loop/stager.h"
#include "worker/loop/training_batches.h"
#include "worker/loop/training_loop.h"

namespace ringmaster {

// What one thread computes with.
class ModelGradients::Seat {
 public:
  static absl::StatusOr<std::unique_ptr<Seat>> Create(const RunSpec& spec, const Dataset& dataset) {
    const SampleShape& shape = dataset.train.shape;
    RM_ASSIGN_OR_RETURN(WorkerParts parts, CreateWorkerParts(spec, shape, {}));
    if (parts.kernels->place() == Place::kDevice) {
      return absl::InvalidArgumentError(
          absl::StrCat("training.kernels = \"", spec.training().kernels(),
                       "\": simulated workers compute on the host; take \"cpu\""));
    }
    RM_ASSIGN_OR_RETURN(
        BatchUpload upload,
        BatchUpload::Create(*parts.kernels, LargestBatch(spec.training().batch_per_worker(), shape),
                            shape));
    std::unique_ptr<Seat> seat(new Seat(spec, dataset, std::move(parts), std::move(upload)));
    StagerOptions staging;
    staging.statistic_scale = seat->scale_;
    staging.workers = spec.training().workers();
    staging.deterministic = spec.training().deterministic();
    staging.deterministic_bits = spec.training().deterministic_bits();
    staging.accumulate = spec.training().accumulate();
    RM_ASSIGN_OR_RETURN(seat->stager_,
                        Stager::Create(*seat->parts_.kernels, seat->model().layout(), staging, 1));
    return seat;
  }

  Model& model() { return *parts_.model; }

  // The mean loss.
  absl::StatusOr<double> Compute(const GradientTask& task) {
    const int32_t accumulate = spec_.training().accumulate();
    double loss = 0;
    for (int32_t share = 0; share < shares_; ++share) {
      // The additions of a real worker (worker/loop/bucket_delivery.cc), in its order: a rank's own
      // batches first, then the sums of the ranks that it stands for.
      const absl::Span<float> sum = share == 0 ? task.gradients : absl::MakeSpan(share_sum_);
      for (int32_t index = 0; index < accumulate; ++index) {
        RM_ASSIGN_OR_RETURN(const double batch_loss,
                            ComputeBatch(task, dealing_.BatchOf(task.lot + share, index)));
        loss += batch_loss;
        Collect(/*adds=*/index > 0, sum);
      }
      if (share > 0) Add(share_sum_, task.gradients);
    }
    return loss / static_cast<double>(int64_t{shares_} * accumulate);
  }

  absl::StatusOr<BatchScore> Score(const Samples& samples, const Range& range,
                                   absl::Span<const float> weights) {
    std::atomic<int64_t> work{0};
    return Evaluate(samples, range, ViewOf(weights), model(), upload_, &work);
  }

 private:
  Seat(const RunSpec& spec, const Dataset& dataset, WorkerParts parts, BatchUpload upload)
      : spec_(spec),
        shares_(static_cast<int32_t>(ExactDiv(spec.training().workers(), TraitsOf(spec).workers))),
        dealing_{spec.training().workers(), spec.training().accumulate()},
        scale_(GradientScaleOf(spec)),
        parts_(std::move(parts)),
        upload_(std::move(upload)),
        loader_(dataset.train,
                {spec.data().seed(), dataset.train.count(), spec.training().batch_per_worker()},
                spec.data().augment()),
        share_sum_(shares_ > 1 ? parts_.model->layout().count() : 0) {}

  // Kernels only read weights.
  static TensorView ViewOf(absl::Span<const float> weights) {
    return {const_cast<float*>(weights.data()), 1, static_cast<int64_t>(weights.size()),
            Place::kHost};
  }

  // Leaves the batch's gradient in the stager's arena.
  absl::StatusOr<double> ComputeBatch(const GradientTask& task, int64_t number) {
    loader_.Fill(number, &batch_);
    RM_ASSIGN_OR_RETURN(const BatchView batch,
                        upload_.Upload(TrainingViewOf(spec_.training().seed(), batch_, scale_)));
    const TensorView weights = ViewOf(task.weights);
    RM_RETURN_IF_ERROR(model().Forward(batch, weights));
    RM_RETURN_IF_ERROR(
        model().Backward(weights, stager_->gradients(0),
                         [this](const Bucket& bucket) { return stager_->StartFetch(0, bucket); }));
    for (const Bucket& bucket : model().layout().buckets())
      RM_RETURN_IF_ERROR(stager_->Fetch(0, bucket).status());
    RM_ASSIGN_OR_RETURN(const BatchScore score, model().Score());
    const double loss = score.loss_sum / static_cast<double>(score.count);
    if (std::isfinite(loss)) return loss;
    const LostBatch lost{loss, batch, weights, task.weights};
    return WithRateAdvice(ExplainLostBatch(lost, model(), *parts_.kernels), spec_.optimizer());
  }

  void Collect(bool adds, absl::Span<float> sum) {
    const absl::Span<float> gradients = stager_->host_gradients(0);
    if (adds) {
      Add(gradients, sum);
    } else {
      std::copy(gradients.begin(), gradients.end(), sum.begin());
    }
  }

  const RunSpec& spec_;
  const int32_t shares_;
  const Dealing dealing_;
  const float scale_;
  WorkerParts parts_;
  BatchUpload upload_;
  Loader loader_;
  std::vector<float> share_sum_;
  Batch batch_;
  std::unique_ptr<Stager> stager_;
};

ModelGradients::ModelGradients(const RunSpec& spec, const Dataset& dataset)
    : spec_(spec), dataset_(dataset), done_(TraitsOf(spec).workers) {}

absl::StatusOr<std::unique_ptr<ModelGradients>> ModelGradients::Create(const RunSpec& spec,
                                                                       const Dataset& dataset,
                                                                       int32_t threads) {
  if (spec.training().has_emulated_compute()) {
    return absl::InvalidArgumentError(
        "training.emulated_compute: emulated computing learns nothing; leave it out, and say what "
        "a step takes by --compute");
  }
  std::unique_ptr<ModelGradients> source(new ModelGradients(spec, dataset));
  RM_ASSIGN_OR_RETURN(source->scorer_, Seat::Create(spec, dataset));
  for (int32_t thread = 0; thread < threads; ++thread) {
    RM_ASSIGN_OR_RETURN(auto seat, Seat::Create(spec, dataset));
    source->seats_.push_back(std::move(seat));
  }
  for (const auto& seat : source->seats_)
    source->threads_.emplace_back(
        [source = source.get(), seat = seat.get()] { source->Work(seat); });
  return source;
}

ModelGradients::~ModelGradients() {
  {
    absl::MutexLock lock(&mutex_);
    ends_ = true;
  }
  for (std::thread& thread : threads_) thread.join();
}

const ParamLayout& ModelGradients::layout() const { return scorer_->model().layout(); }

const Model& ModelGradients::model() const { return scorer_->model(); }

void ModelGradients::Start(const GradientTask& task) {
  absl::MutexLock lock(&mutex_);
  done_[task.rank].reset();
  tasks_.push_back(task);
}

absl::StatusOr<double> ModelGradients::Await(int32_t rank) {
  absl::MutexLock lock(&mutex_);
  const auto is_done = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return done_[rank].has_value(); };
  mutex_.Await(absl::Condition(&is_done));
  return *done_[rank];
}

void ModelGradients::Work(Seat* seat) {
  absl::MutexLock lock(&mutex_);
  for (;;) {
    const auto may_go = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
      return ends_ || HasBatch() || !tasks_.empty();
    };
    mutex_.Await(absl::Condition(&may_go));
    if (ends_) return;
    if (HasBatch()) {
      ScoreBatch(seat);
      continue;
    }
    const GradientTask task = tasks_.front();
    tasks_.pop_front();
    mutex_.Unlock();
    absl::StatusOr<double> loss = seat->Compute(task);
    if (!loss.ok()) {
      loss = Annotate(loss.status(), absl::StrCat("worker/", task.rank, " step=", task.step));
    }
    mutex_.Lock();
    done_[task.rank] = std::move(loss);
  }
}

void ModelGradients::ScoreBatch(Seat* seat) {
  Scoring* const scoring = scoring_;
  const int64_t batch = scoring->next++;
  mutex_.Unlock();
  const int64_t size = EvaluationBatch(scoring->samples->shape);
  const int64_t begin = batch * size;
  absl::StatusOr<BatchScore> score = seat->Score(
      *scoring->samples, {begin, std::min(size, scoring->count - begin)}, scoring->weights);
  mutex_.Lock();
  scoring->scores[batch] = std::move(score);
  --scoring->left;
}

absl::StatusOr<BatchScore> ModelGradients::Score(const Samples& samples, int64_t count,
                                                 absl::Span<const float> weights) {
  Scoring scoring{&samples, count, weights, 0, CeilDiv(count, EvaluationBatch(samples.shape)), {}};
  scoring.scores.assign(scoring.left, BatchScore());
  {
    absl::MutexLock lock(&mutex_);
    scoring_ = &scoring;
    while (HasBatch()) ScoreBatch(scorer_.get());
    const auto is_done = [&scoring] { return scoring.left == 0; };
    mutex_.Await(absl::Condition(&is_done));
    scoring_ = nullptr;
  }
  BatchScore total;
  for (const absl::StatusOr<BatchScore>& score : scoring.scores) {
    RM_RETURN_IF_ERROR(score.status());
    total.loss_sum += score->loss_sum;
    total.correct += score->correct;
    total.count += score->count;
  }
  return total;
}

}  // namespace ringmaster
