#ifndef RINGMASTER_WORKER_MODEL_LAYERS_LINEAR_H_
#define RINGMASTER_WORKER_MODEL_LAYERS_LINEAR_H_

#include <array>
#include <string>

#include "worker/kernels/kernel_library.h"
#include "worker/model/layers/layer.h"

namespace ringmaster {

struct LinearOptions {
  std::string name;  // "fc1": parameters fc1.weight [outputs, inputs] and fc1.bias [outputs]
  int64_t inputs = 0, outputs = 0;
  bool relu = false;  // applied to the outputs
};

// output[batch, outputs] = input[batch, inputs] weight^T + bias, then relu if asked.
class Linear final : public Layer {
 public:
  // `kernels` outlives the layer.
  Linear(const LinearOptions& options, KernelLibrary& kernels);

  absl::Span<const LayerParam> params() const override { return params_; }
  int64_t output_elements() const override { return options_.outputs; }
  bool in_place() const override { return false; }
  absl::Status Forward(const LayerCall& call) override;
  absl::Status ParamGradient(const LayerCall& call) override;
  absl::Status InputGradient(const LayerCall& call) override;

 private:
  int64_t weight_count() const { return options_.inputs * options_.outputs; }

  const LinearOptions options_;
  KernelLibrary& kernels_;
  const std::array<LayerParam, 2> params_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_MODEL_LAYERS_LINEAR_H_
