#include "worker/model/layers/swap_axes.h"

namespace ringmaster {

absl::Status SwapImageAxes::Forward(const LayerCall& call) {
  const bool from_images = to_ == ImageOrder::kChannelMajor;
  return kernels_.SwapAxes({from_images ? call.batch : channels_, from_images ? channels_ : call.batch, pixels_,
                            call.input, call.output});
}

absl::Status SwapImageAxes::ParamGradient(const LayerCall& call) { return absl::OkStatus(); }

absl::Status SwapImageAxes::InputGradient(const LayerCall& call) {
  const bool from_images = to_ == ImageOrder::kImageMajor;
  return kernels_.SwapAxes({from_images ? call.batch : channels_, from_images ? channels_ : call.batch, pixels_,
                            call.output_gradient, call.input_gradient});
}

}  // namespace ringmaster
