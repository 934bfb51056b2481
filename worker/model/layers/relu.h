#ifndef RINGMASTER_WORKER_MODEL_LAYERS_RELU_H_
#define RINGMASTER_WORKER_MODEL_LAYERS_RELU_H_

#include "worker/kernels/kernel_library.h"
#include "worker/model/layers/layer.h"

namespace ringmaster {

// relu(input), in place.
class Relu final : public Layer {
 public:
  // `elements`: of one sample. `kernels` outlives the layer.
  Relu(int64_t elements, KernelLibrary& kernels) : elements_(elements), kernels_(kernels) {}

  absl::Span<const LayerParam> params() const override { return {}; }
  int64_t output_elements() const override { return elements_; }
  bool in_place() const override { return true; }
  absl::Status Forward(const LayerCall& call) override;
  absl::Status ParamGradient(const LayerCall& call) override;
  absl::Status InputGradient(const LayerCall& call) override;

 private:
  const int64_t elements_;
  KernelLibrary& kernels_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_MODEL_LAYERS_RELU_H_
