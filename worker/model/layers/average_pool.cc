#include "worker/model/layers/average_pool.h"

namespace ringmaster {

void GlobalAveragePool::Forward(const LayerCall& call, Operations* operations) {
  operations->emplace_back(
      AveragePoolCall{channels_ * call.batch, pixels_, call.input, call.output});
}

void GlobalAveragePool::ParamGradient(const LayerCall& call, Operations* operations) {}

void GlobalAveragePool::InputGradient(const LayerCall& call, Operations* operations) {
  operations->emplace_back(AveragePoolBackwardCall{channels_ * call.batch, pixels_,
                                                   call.output_gradient, call.input_gradient});
}

}  // namespace ringmaster
