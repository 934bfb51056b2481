#ifndef RINGMASTER_WORKER_MODEL_SEQUENTIAL_H_
#define RINGMASTER_WORKER_MODEL_SEQUENTIAL_H_

#include <array>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/model/layers/layer.h"
#include "worker/model/model.h"

namespace ringmaster {

// Layers one after another, then softmax cross-entropy over each label's row of logits. Owns the
// activations of the largest batch; Forward and Backward allocate nothing. Parameters lie in the
// arena last layer first, a layer's own in its order. What is not a chain (residual connections, a
// shared table) is between layers of the list: layers/residual.h and Layer::shares.
class Sequential final : public Model {
 public:
  // `layers` in forward order, the first takes a batch's features or tokens as loaded, the last
  // gives options.shape.classes logits for each label. `kernels` outlives the model.
  // InvalidArgument: a batch or bucket size below one. Other errors: no memory.
  static absl::StatusOr<std::unique_ptr<Model>> Create(LayerList layers,
                                                       const ModelOptions& options,
                                                       KernelLibrary& kernels);

  const ParamLayout& layout() const override { return layout_; }
  void InitWeights(uint64_t seed, absl::Span<float> weights) const override;
  absl::Status Forward(const BatchView& batch, TensorView weights) override;
  absl::Status Backward(TensorView weights, TensorView gradients, BucketReady ready) override;
  absl::StatusOr<BatchScore> Score() override;
  absl::Status ScoreRows(absl::Span<float> losses, absl::Span<int32_t> predictions) override;

 private:
  Sequential(LayerList layers, const ModelOptions& options, KernelLibrary& kernels);

  // A call of a layer on the way down, all but weights, gradients and batch fixed.
  struct BackwardCall {
    size_t layer = 0;
    bool of_input = false;  // InputGradient, else ParamGradient
    float* output_gradient = nullptr;
    float* input_gradient = nullptr;
  };
  // Calls between two moments at which buckets are announced.
  struct BackwardStretch {
    size_t calls_begin = 0, calls_end = 0;      // among backward_calls_
    size_t buckets_begin = 0, buckets_end = 0;  // that these calls finish
  };

  absl::Status AllocateActivations();
  void PlanBackward();
  // Put the operations of Forward, and of one stretch of Backward, into operations_.
  void PlanForward(const float* weights);
  void PlanStretch(const BackwardStretch& stretch, const float* weights, float* gradients);
  absl::Status CheckArena(const char* which, const TensorView& arena) const;
  absl::Status CheckBatch(const BatchView& batch) const;
  int64_t rows() const { return batch_.count * options_.shape.labels(); }
  // The call of layer `index` for the batch at hand, forward part.
  LayerCall CallOf(size_t index, const float* weights) const;

  // Constant after construction.
  const LayerList layers_;
  const ModelOptions options_;
  KernelLibrary& kernels_;
  const ParamLayout layout_;
  std::vector<int64_t> param_begin_;   // of each layer, elements of the arena
  std::vector<int64_t> param_count_;   // of each layer
  std::vector<int64_t> shared_begin_;  // of each layer's shares(), or -1
  size_t first_with_params_ = 0;       // no gradient flows below this layer
  // that own the outputs; fewer than layers, where some work in place
  std::vector<Buffer> activations_;
  std::vector<float*> outputs_;      // of each layer
  std::array<Buffer, 2> gradients_;  // of activations, used in turn
  Buffer logit_gradient_;
  std::vector<BackwardCall> backward_calls_;
  std::vector<BackwardStretch> backward_stretches_;
  Buffer scores_;                   // row_loss, then row_correct, in the library's place
  Buffer host_scores_;              // the same on the host
  std::vector<float> host_logits_;  // of ScoreRows
  Operations operations_;           // of the segment at hand

  BatchView batch_;               // last given to Forward; count is 0 after a failed one
  bool backward_is_due_ = false;  // what Forward left is there and Backward has not used it up
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_MODEL_SEQUENTIAL_H_
