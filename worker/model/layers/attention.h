#ifndef RINGMASTER_WORKER_MODEL_LAYERS_ATTENTION_H_
#define RINGMASTER_WORKER_MODEL_LAYERS_ATTENTION_H_

#include <memory>

#include "absl/status/statusor.h"
#include "common/tensor/tensor.h"
#include "worker/kernels/kernel_library.h"
#include "worker/model/layers/layer.h"

namespace ringmaster {

// Causal self-attention of each text from its queries, keys and values [tokens][3 * width] to
// [tokens][width]. The projections around it are linear layers of their own.
class CausalAttention final : public Layer {
 public:
  // `shape` with the largest batch. Errors: no memory for the probabilities.
  static absl::StatusOr<std::unique_ptr<Layer>> Create(const AttentionShape& shape,
                                                       KernelLibrary& kernels);

  absl::Span<const LayerParam> params() const override { return {}; }
  int64_t output_elements() const override { return shape_.context * shape_.width(); }
  bool in_place() const override { return false; }
  void Forward(const LayerCall& call, Operations* operations) override;
  void ParamGradient(const LayerCall& call, Operations* operations) override;
  void InputGradient(const LayerCall& call, Operations* operations) override;

 private:
  CausalAttention(const AttentionShape& shape, Buffer probabilities, Buffer scratch);

  AttentionShape ShapeOf(int64_t batch) const;

  const AttentionShape shape_;
  const Buffer probabilities_;  // [batch][heads][context][context], for backward
  const Buffer scratch_;        // of backward
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_MODEL_LAYERS_ATTENTION_H_
