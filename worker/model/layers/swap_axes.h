#ifndef RINGMASTER_WORKER_MODEL_LAYERS_SWAP_AXES_H_
#define RINGMASTER_WORKER_MODEL_LAYERS_SWAP_AXES_H_

#include "worker/model/layers/layer.h"

namespace ringmaster {

enum class ImageOrder { kChannelMajor, kImageMajor };  // CNHW, NCHW

// Brings images from the other order into `to`: samples as they are loaded to CNHW for the first
// convolution, and its kind to one row a sample for the first linear layer.
class SwapImageAxes final : public Layer {
 public:
  // `pixels`: of one channel of one image.
  SwapImageAxes(ImageOrder to, int64_t channels, int64_t pixels)
      : to_(to), channels_(channels), pixels_(pixels) {}

  absl::Span<const LayerParam> params() const override { return {}; }
  int64_t output_elements() const override { return channels_ * pixels_; }
  bool in_place() const override { return false; }
  void Forward(const LayerCall& call, Operations* operations) override;
  void ParamGradient(const LayerCall& call, Operations* operations) override;
  void InputGradient(const LayerCall& call, Operations* operations) override;

 private:
  const ImageOrder to_;
  const int64_t channels_;
  const int64_t pixels_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_MODEL_LAYERS_SWAP_AXES_H_
