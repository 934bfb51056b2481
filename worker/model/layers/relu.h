#ifndef RINGMASTER_WORKER_MODEL_LAYERS_RELU_H_
#define RINGMASTER_WORKER_MODEL_LAYERS_RELU_H_

#include "worker/model/layers/layer.h"

namespace ringmaster {

// relu(input), in place.
class Relu final : public Layer {
 public:
  // `elements`: of one sample.
  explicit Relu(int64_t elements) : elements_(elements) {}

  absl::Span<const LayerParam> params() const override { return {}; }
  int64_t output_elements() const override { return elements_; }
  bool in_place() const override { return true; }
  void Forward(const LayerCall& call, Operations* operations) override;
  void ParamGradient(const LayerCall& call, Operations* operations) override;
  void InputGradient(const LayerCall& call, Operations* operations) override;

 private:
  const int64_t elements_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_MODEL_LAYERS_RELU_H_
