#ifndef RINGMASTER_WORKER_MODEL_LAYERS_EMBEDDING_H_
#define RINGMASTER_WORKER_MODEL_LAYERS_EMBEDDING_H_

#include <array>

#include "worker/model/layers/layer.h"

namespace ringmaster {

struct EmbeddingOptions {
  int64_t vocabulary = 0, context = 0, width = 0;
  float deviation = 0;  // both tables start normal
  bool shared = false;  // another layer names this one in shares() and has written the token
                        // table's gradient first
};

// Each token's row of one table plus its position's row of another: parameters tok.weight
// [vocabulary, width] and pos.weight [context, width]. The first layer of a text model: it reads
// the batch's tokens and has no input gradient.
class TokenEmbedding final : public Layer {
 public:
  explicit TokenEmbedding(const EmbeddingOptions& options);

  absl::Span<const LayerParam> params() const override { return params_; }
  int64_t output_elements() const override { return options_.context * options_.width; }
  bool in_place() const override { return false; }
  void Forward(const LayerCall& call, Operations* operations) override;
  void ParamGradient(const LayerCall& call, Operations* operations) override;
  void InputGradient(const LayerCall& call, Operations* operations) override;

 private:
  const EmbeddingOptions options_;
  const std::array<LayerParam, 2> params_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_MODEL_LAYERS_EMBEDDING_H_
