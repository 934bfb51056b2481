#include "worker/model/layers/relu.h"

namespace ringmaster {

absl::Status Relu::Forward(const LayerCall& call) {
  return kernels_.Relu({call.output, call.batch * elements_});
}

absl::Status Relu::ParamGradient(const LayerCall& call) { return absl::OkStatus(); }

absl::Status Relu::InputGradient(const LayerCall& call) {
  return kernels_.ReluBackward({call.output, call.input_gradient, call.batch * elements_});
}

}  // namespace ringmaster
