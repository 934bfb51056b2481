#include "worker/model/layers/embedding.h"

namespace ringmaster {

TokenEmbedding::TokenEmbedding(const EmbeddingOptions& options)
    : options_(options),
      params_{LayerParam{"tok.weight",
                         {options.vocabulary, options.width},
                         0,
                         Init::kNormal,
                         options.deviation},
              LayerParam{"pos.weight",
                         {options.context, options.width},
                         0,
                         Init::kNormal,
                         options.deviation}} {}

void TokenEmbedding::Forward(const LayerCall& call, Operations* operations) {
  EmbeddingCall embedding;
  embedding.rows = call.batch * options_.context;
  embedding.context = options_.context;
  embedding.width = options_.width;
  embedding.vocabulary = options_.vocabulary;
  embedding.tokens = call.tokens;
  embedding.token_table = call.weights;
  embedding.position_table = call.weights + options_.vocabulary * options_.width;
  embedding.output = call.output;
  operations->emplace_back(embedding);
}

void TokenEmbedding::ParamGradient(const LayerCall& call, Operations* operations) {
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
  operations->emplace_back(gradient);
}

void TokenEmbedding::InputGradient(const LayerCall& call, Operations* operations) {
  // Tokens have no gradient.
}

}  // namespace ringmaster
