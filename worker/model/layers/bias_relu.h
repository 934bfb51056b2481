#ifndef RINGMASTER_WORKER_MODEL_LAYERS_BIAS_RELU_H_
#define RINGMASTER_WORKER_MODEL_LAYERS_BIAS_RELU_H_

#include <array>
#include <string>

#include "worker/model/layers/layer.h"

namespace ringmaster {

struct BiasReluOptions {
  std::string name;  // "conv1": parameter conv1.bias [channels]
  int64_t channels = 0;
  int64_t pixels = 0;  // of one channel of one image
  int64_t fan_in = 0;  // of the convolution the bias belongs to
};

// relu(input + bias of the channel) on CNHW images, in one pass and in place.
//
// It may stand behind the pooling of its convolution instead of before it: adding a constant and
// relu are monotonic, also as they round, so they commute with a maximum, and the same values come
// out for a quarter of the work.
class BiasRelu final : public Layer {
 public:
  explicit BiasRelu(const BiasReluOptions& options);

  absl::Span<const LayerParam> params() const override { return params_; }
  int64_t output_elements() const override { return options_.channels * options_.pixels; }
  bool in_place() const override { return true; }
  void Forward(const LayerCall& call, Operations* operations) override;
  void ParamGradient(const LayerCall& call, Operations* operations) override;
  void InputGradient(const LayerCall& call, Operations* operations) override;

 private:
  const BiasReluOptions options_;
  const std::array<LayerParam, 1> params_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_MODEL_LAYERS_BIAS_RELU_H_
