#include "worker/model/layers/swap_axes.h"

namespace ringmaster {

void SwapImageAxes::Forward(const LayerCall& call, Operations* operations) {
  const bool from_images = to_ == ImageOrder::kChannelMajor;
  operations->emplace_back(SwapAxesCall{from_images ? call.batch : channels_,
                                        from_images ? channels_ : call.batch, pixels_, call.input,
                                        call.output});
}

void SwapImageAxes::ParamGradient(const LayerCall& call, Operations* operations) {}

void SwapImageAxes::InputGradient(const LayerCall& call, Operations* operations) {
  const bool from_images = to_ == ImageOrder::kImageMajor;
  operations->emplace_back(SwapAxesCall{from_images ? call.batch : channels_,
                                        from_images ? channels_ : call.batch, pixels_,
                                        call.output_gradient, call.input_gradient});
}

}  // namespace ringmaster
