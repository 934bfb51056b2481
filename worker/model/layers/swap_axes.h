#ifndef RINGMASTER_WORKER_MODEL_LAYERS_SWAP_AXES_H_
#define RINGMASTER_WORKER_MODEL_LAYERS_SWAP_AXES_H_

#include "worker/kernels/kernel_library.h"
#include "worker/model/layers/layer.h"

namespace ringmaster {

enum class ImageOrder { kChannelMajor, kImageMajor };  // CNHW, NCHW

// Brings images from the other order into `to`: samples as they are loaded to CNHW for the first convolution, and its
// kind to one row a sample for the first linear layer.
class SwapImageAxes final : public Layer {
 public:
  // `pixels`: of one channel of one image. `kernels` outlives the layer.
  SwapImageAxes(ImageOrder to, int64_t channels, int64_t pixels, KernelLibrary& kernels)
      : to_(to), channels_(channels), pixels_(pixels), kernels_(kernels) {}

  absl::Span<const LayerParam> params() const override { return {}; }
  int64_t output_elements() const override { return channels_ * pixels_; }
  bool in_place() const override { return false; }
  absl::Status Forward(const LayerCall& call) override;
  absl::Status ParamGradient(const LayerCall& call) override;
  absl::Status InputGradient(const LayerCall& call) override;

 private:
  const ImageOrder to_;
  const int64_t channels_;
  const int64_t pixels_;
  KernelLibrary& kernels_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_MODEL_LAYERS_SWAP_AXES_H_
