#include "worker/model/layers/bias_relu.h"

#include "common/base/status_macros.h"

namespace ringmaster {

BiasRelu::BiasRelu(const BiasReluOptions& options, KernelLibrary& kernels)
    : options_(options),
      kernels_(kernels),
      params_{LayerParam{options.name + ".bias", {options.channels}, options.fan_in}} {}

absl::Status BiasRelu::Forward(const LayerCall& call) {
  return kernels_.AddBias(
      {call.output, options_.channels, call.batch * options_.pixels, call.weights, BiasAxis::kPerRow, true});
}

absl::Status BiasRelu::ParamGradient(const LayerCall& call) {
  const int64_t cols = call.batch * options_.pixels;
  RM_RETURN_IF_ERROR(kernels_.ReluBackward({call.output, call.output_gradient, options_.channels * cols}));
  return kernels_.BiasGradient(
      {call.output_gradient, options_.channels, cols, call.gradients, BiasAxis::kPerRow});
}

absl::Status BiasRelu::InputGradient(const LayerCall& call) {
  // ParamGradient has left it in place.
  return absl::OkStatus();
}

}  // namespace ringmaster
