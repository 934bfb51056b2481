#include "worker/model/layers/embedding.h"

namespace ringmaster {

TokenEmbedding::TokenEmbedding(const EmbeddingOptions& options, KernelLibrary& kernels)
    : options_(options),
      kernels_(kernels),
      params_{LayerParam{"tok.weight", {options.vocabulary, options.width}, 0, Init::kNormal, options.deviation},
              LayerParam{"pos.weight", {options.context, options.width}, 0, Init::kNormal, options.deviation}} {}

absl::Status TokenEmbedding::Forward(const LayerCall& call) {
  EmbeddingCall embedding;
  embedding.rows = call.batch * options_.context;
  embedding.context = options_.context;
  embedding.width = options_.width;
  embedding.vocabulary = options_.vocabulary;
  embedding.tokens = call.tokens;
  embedding.token_table = call.weights;
  embedding.position_table = call.weights + options_.vocabulary * options_.width;
  embedding.output = call.output;
  return kernels_.Embedding(embedding);
}

absl::Status TokenEmbedding::ParamGradient(const LayerCall& call) {
  EmbeddingGradientCall gradient;
  gradient.rows = call.batch * options_.context;
  gradient.context = options_.context;
  gradient.width = options_.width;
  gradient.vocabulary = options_.vocabulary;
  gradient.tokens = call.tokens;
  gradient.output_gradient = call.output_gradient;
  gradient.token_gradient = call.gradients;
  gradient.position_gradient = call.gradients + options_.vocabulary * options_.width;
  gradient.accumulate = options_.shared;
  return kernels_.EmbeddingGradient(gradient);
}

absl::Status TokenEmbedding::InputGradient(const LayerCall& call) {
  // Tokens have no gradient.
  return absl::OkStatus();
}

}  // namespace ringmaster
