#ifndef RINGMASTER_WORKER_MODEL_LAYERS_AVERAGE_POOL_H_
#define RINGMASTER_WORKER_MODEL_LAYERS_AVERAGE_POOL_H_

#include "worker/kernels/kernel_library.h"
#include "worker/model/layers/layer.h"

namespace ringmaster {

// The mean of each channel of each image; CNHW images, so the output is [channels][images].
class GlobalAveragePool final : public Layer {
 public:
  // `pixels`: of one channel of one image. `kernels` outlives the layer.
  GlobalAveragePool(int64_t channels, int64_t pixels, KernelLibrary& kernels)
      : channels_(channels), pixels_(pixels), kernels_(kernels) {}

  absl::Span<const LayerParam> params() const override { return {}; }
  int64_t output_elements() const override { return channels_; }
  bool in_place() const override { return false; }
  absl::Status Forward(const LayerCall& call) override;
  absl::Status ParamGradient(const LayerCall& call) override;
  absl::Status InputGradient(const LayerCall& call) override;

 private:
  const int64_t channels_;
  const int64_t pixels_;
  KernelLibrary& kernels_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_MODEL_LAYERS_AVERAGE_POOL_H_
