#ifndef RINGMASTER_WORKER_MODEL_LAYERS_AVERAGE_POOL_H_
#define RINGMASTER_WORKER_MODEL_LAYERS_AVERAGE_POOL_H_

#include "worker/model/layers/layer.h"

namespace ringmaster {

// The mean of each channel of each image; CNHW images, so the output is [channels][images].
class GlobalAveragePool final : public Layer {
 public:
  // `pixels`: of one channel of one image.
  GlobalAveragePool(int64_t channels, int64_t pixels) : channels_(channels), pixels_(pixels) {}

  absl::Span<const LayerParam> params() const override { return {}; }
  int64_t output_elements() const override { return channels_; }
  bool in_place() const override { return false; }
  void Forward(const LayerCall& call, Operations* operations) override;
  void ParamGradient(const LayerCall& call, Operations* operations) override;
  void InputGradient(const LayerCall& call, Operations* operations) override;

 private:
  const int64_t channels_;
  const int64_t pixels_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_MODEL_LAYERS_AVERAGE_POOL_H_
