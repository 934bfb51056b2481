#ifndef RINGMASTER_WORKER_MODEL_TRANSFORMER_H_
#define RINGMASTER_WORKER_MODEL_TRANSFORMER_H_

#include <memory>

#include "absl/status/statusor.h"
#include "worker/model/model.h"

namespace ringmaster {

class TransformerSpec;

// A decoder over tokens as GPT-2's: tok and pos tables; blocks.0, blocks.1, ... of norm1, attn
// (qkv, causal attention, proj), norm2, mlp (fc of 4 * width with GELU, proj), each half with a
// residual connection around it; norm; head, a linear layer without bias, or with a tied head the
// token table itself. Predicts the next token at each position. Weights start normal with deviation
// 0.02, those of the two proj with 0.02 / sqrt(2 * layers), biases at 0. `dropout`: behind the
// embedding and the two proj, while training. Source: Radford et al. 2019. InvalidArgument: a size
// below one, heads that do not divide the width, or as Sequential says.
absl::StatusOr<std::unique_ptr<Model>> CreateTransformer(const TransformerSpec& spec, float dropout,
                                                         const ModelOptions& options,
                                                         KernelLibrary& kernels);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_MODEL_TRANSFORMER_H_
