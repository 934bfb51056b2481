#include "worker/model/layers/attention.h"

#include <utility>

#include "common/base/status_macros.h"

namespace ringmaster {

absl::StatusOr<std::unique_ptr<Layer>> CausalAttention::Create(const AttentionShape& shape,
                                                               KernelLibrary& kernels) {
  constexpr int64_t kFloatBytes = sizeof(float);
  const int64_t pairs = shape.batch * shape.heads * shape.context * shape.context;
  RM_ASSIGN_OR_RETURN(Buffer probabilities, kernels.Allocate(pairs * kFloatBytes));
  RM_ASSIGN_OR_RETURN(Buffer scratch,
                      kernels.Allocate(kernels.attention_scratch_floats(shape) * kFloatBytes));
  return std::unique_ptr<Layer>(
      new CausalAttention(shape, std::move(probabilities), std::move(scratch)));
}

CausalAttention::CausalAttention(const AttentionShape& shape, Buffer probabilities, Buffer scratch)
    : shape_(shape), probabilities_(std::move(probabilities)), scratch_(std::move(scratch)) {}

AttentionShape CausalAttention::ShapeOf(int64_t batch) const {
  AttentionShape shape = shape_;
  shape.batch = batch;
  return shape;
}

void CausalAttention::Forward(const LayerCall& call, Operations* operations) {
  operations->emplace_back(
      AttentionCall{ShapeOf(call.batch), call.input, probabilities_.floats(), call.output});
}

void CausalAttention::ParamGradient(const LayerCall& call, Operations* operations) {}

void CausalAttention::InputGradient(const LayerCall& call, Operations* operations) {
  operations->emplace_back(AttentionBackwardCall{ShapeOf(call.batch), call.input,
                                                 probabilities_.floats(), call.output_gradient,
                                                 call.input_gradient, scratch_.floats()});
}

}  // namespace ringmaster
