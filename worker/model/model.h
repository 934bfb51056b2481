#ifndef RINGMASTER_WORKER_MODEL_MODEL_H_
#define RINGMASTER_WORKER_MODEL_MODEL_H_

#include <cstdint>
#include <memory>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/params/param_layout.h"
#include "common/tensor/tensor.h"
#include "worker/data/samples.h"
#include "worker/kernels/kernel_library.h"

namespace ringmaster {

class ModelSpec;

// Samples in the kernel library's place: features [count][channels][height][width] or tokens
// [count][context], and labels [count][shape.labels()]. A training batch has dropout and batch
// statistics.
struct BatchView {
  const float* features = nullptr;
  const int32_t* labels = nullptr;
  int64_t count = 0;
  const int32_t* tokens = nullptr;
  bool training = false;
  uint64_t dropout_seed = 0;    // of this batch: by seed, rank, step and micro-batch
  float gradient_scale = 1.0f;  // of the mean loss whose gradient Backward computes
  int64_t number = 0;           // in the stream of batches; 0 where it is not for training
};

// Sums over the labels of a batch; `count` of them.
struct BatchScore {
  double loss_sum = 0;
  int64_t correct = 0;
  int64_t count = 0;
};

using BucketReady = absl::FunctionRef<absl::Status(const Bucket&)>;

// A network with its activations, on one kernel library. Knows neither the device nor who listens
// to its gradients. Weights and gradients are arenas of layout().count() floats in the library's
// place. One thread at a time.
class Model {
 public:
  virtual ~Model() = default;
  virtual const ParamLayout& layout() const = 0;
  // Writes the initial weights on the host; the same numbers on every backend and machine. Linear
  // and convolutional layers start uniform in +-sqrt(1/fan_in), as PyTorch's do, those of the
  // transformer normal, as GPT-2's; norms with gain 1 and bias 0. Each tensor has a stream of its
  // own.
  virtual void InitWeights(uint64_t seed, absl::Span<float> weights) const = 0;
  // Activations and losses of `batch` (1 <= count <= max_batch) under `weights`. The batch's memory
  // stays as it is until Backward or the next Forward. InvalidArgument: a batch or arena of another
  // size or place.
  virtual absl::Status Forward(const BatchView& batch, TensorView weights) = 0;
  // The mean-loss gradient of the batch last given to Forward, with the same weights; overwrites
  // `gradients`. Announces each bucket, in order, as soon as the calls that complete it have been
  // made (on a device: enqueued). A status from `ready` ends it and is returned.
  // FailedPrecondition: no Forward since the last Backward, or of a batch that is not for training.
  virtual absl::Status Backward(TensorView weights, TensorView gradients, BucketReady ready) = 0;
  // Loss and accuracy of the batch last given to Forward; waits for the device.
  virtual absl::StatusOr<BatchScore> Score() = 0;
  // Loss and predicted class (the first largest logit) of every label of the batch last given to
  // Forward, in order:
  //   losses, predictions: [count * shape.labels()].
  // For evaluations: waits for the device and may allocate. FailedPrecondition: no Forward, or a
  // Backward since.
  virtual absl::Status ScoreRows(absl::Span<float> losses, absl::Span<int32_t> predictions) = 0;
};

// What CreateModel builds for.
struct ModelOptions {
  SampleShape shape;
  int64_t max_batch = 0;
  int64_t bucket_bytes = 0;
  BucketLayout bucket_layout = BucketLayout::kCut;
};

// The model that the resolved spec names. InvalidArgument: an unknown name, or samples it cannot
// take. `kernels` outlives the model.
absl::StatusOr<std::unique_ptr<Model>> CreateModel(const ModelSpec& spec,
                                                   const ModelOptions& options,
                                                   KernelLibrary& kernels);

struct ModelInfo {
  const char* name;
  const char* summary;
  bool takes_texts = false;  // else images
};
absl::Span<const ModelInfo> Models();

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_MODEL_MODEL_H_
