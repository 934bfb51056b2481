#include "worker/model/layers/average_pool.h"

namespace ringmaster {

absl::Status GlobalAveragePool::Forward(const LayerCall& call) {
  return kernels_.AveragePool({channels_ * call.batch, pixels_, call.input, call.output});
}

absl::Status GlobalAveragePool::ParamGradient(const LayerCall& call) { return absl::OkStatus(); }

absl::Status GlobalAveragePool::InputGradient(const LayerCall& call) {
  return kernels_.AveragePoolBackward({channels_ * call.batch, pixels_, call.output_gradient, call.input_gradient});
}

}  // namespace ringmaster
