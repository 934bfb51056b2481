#include "worker/model/layers/relu.h"

namespace ringmaster {

void Relu::Forward(const LayerCall& call, Operations* operations) {
  operations->emplace_back(ReluCall{call.output, call.batch * elements_});
}

void Relu::ParamGradient(const LayerCall& call, Operations* operations) {}

void Relu::InputGradient(const LayerCall& call, Operations* operations) {
  operations->emplace_back(
      ReluBackwardCall{call.output, call.input_gradient, call.batch * elements_});
}

}  // namespace ringmaster
