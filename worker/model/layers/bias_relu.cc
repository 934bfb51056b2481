#include "worker/model/layers/bias_relu.h"

namespace ringmaster {

BiasRelu::BiasRelu(const BiasReluOptions& options)
    : options_(options),
      params_{LayerParam{options.name + ".bias", {options.channels}, options.fan_in}} {}

void BiasRelu::Forward(const LayerCall& call, Operations* operations) {
  operations->emplace_back(BiasCall{call.output, options_.channels, call.batch * options_.pixels,
                                    call.weights, BiasAxis::kPerRow, true});
}

void BiasRelu::ParamGradient(const LayerCall& call, Operations* operations) {
  const int64_t cols = call.batch * options_.pixels;
  operations->emplace_back(
      ReluBackwardCall{call.output, call.output_gradient, options_.channels * cols});
  operations->emplace_back(BiasGradientCall{call.output_gradient, options_.channels, cols,
                                            call.gradients, BiasAxis::kPerRow});
}

void BiasRelu::InputGradient(const LayerCall& call, Operations* operations) {
  // ParamGradient has left it in place.
}

}  // namespace ringmaster
