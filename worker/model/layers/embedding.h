#ifndef RINGMASTER_WORKER_MODEL_LAYERS_EMBEDDING_H_
#define RINGMASTER_WORKER_MODEL_LAYERS_EMBEDDING_H_

#include <array>

#include "worker/kernels/kernel_library.h"
#include "worker/model/layers/layer.h"

namespace ringmaster {

struct EmbeddingOptions {
  int64_t vocabulary = 0, context = 0, width = 0;
  float deviation = 0;  // both tables start normal
  bool shared = false;  // another layer names this one in shares() and has written the token table's gradient first
};

// Each token's row of one table plus its position's row of another: parameters tok.weight [vocabulary, width] and
// pos.weight [context, width]. The first layer of a text model: it reads the batch's tokens and has no input gradient.
class TokenEmbedding final : public Layer {
 public:
  // `kernels` outlives the layer.
  TokenEmbedding(const EmbeddingOptions& options, KernelLibrary& kernels);

  absl::Span<const LayerParam> params() const override { return params_; }
  int64_t output_elements() const override { return options_.context * options_.width; }
  bool in_place() const override { return false; }
  absl::Status Forward(const LayerCall& call) override;
  absl::Status ParamGradient(const LayerCall& call) override;
  absl::Status InputGradient(const LayerCall& call) override;

 private:
  const EmbeddingOptions options_;
  KernelLibrary& kernels_;
  const std::array<LayerParam, 2> params_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_MODEL_LAYERS_EMBEDDING_H_
