#ifndef RINGMASTER_WORKER_MODEL_LAYERS_LINEAR_H_
#define RINGMASTER_WORKER_MODEL_LAYERS_LINEAR_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/tensor/tensor.h"
#include "worker/kernels/kernel_library.h"
#include "worker/model/layers/layer.h"

namespace ringmaster {

enum class Activation { kNone, kRelu, kGelu };

struct LinearOptions {
  std::string name;  // "fc1": parameters fc1.weight [outputs, inputs] and fc1.bias [outputs]
  int64_t inputs = 0, outputs = 0;
  Activation activation = Activation::kNone;  // applied to the outputs
  bool bias = true;                           // an activation needs one
  int64_t rows_per_sample = 1;                // a text has one for each token
  int64_t max_batch = 0;                      // kGelu only
  float deviation = 0;  // 0: starts uniform in +-sqrt(1/inputs); else normal, and the bias 0
  // whose first parameter is the weight, in place of an own; has no bias
  const Layer* shares = nullptr;
};

// output[rows, outputs] = activation(input[rows, inputs] weight^T + bias), rows = batch *
// rows_per_sample.
class Linear final : public Layer {
 public:
  // `pre_activation`: max_batch * rows_per_sample * outputs floats in the kernels' place for kGelu,
  // else empty.
  Linear(const LinearOptions& options, Buffer pre_activation);

  absl::Span<const LayerParam> params() const override { return params_; }
  int64_t output_elements() const override { return options_.rows_per_sample * options_.outputs; }
  bool in_place() const override { return false; }
  const Layer* shares() const override { return options_.shares; }
  void Forward(const LayerCall& call, Operations* operations) override;
  void ParamGradient(const LayerCall& call, Operations* operations) override;
  void InputGradient(const LayerCall& call, Operations* operations) override;

 private:
  int64_t rows(const LayerCall& call) const { return call.batch * options_.rows_per_sample; }
  int64_t weight_count() const { return options_.inputs * options_.outputs; }
  void ActivationGradient(const LayerCall& call, Operations* operations);

  const LinearOptions options_;
  const std::vector<LayerParam> params_;
  const Buffer pre_activation_;  // kGelu: its input, for backward
};

// Appends the layer. Errors: no memory.
absl::Status AddLinear(const LinearOptions& options, KernelLibrary& kernels, LayerList* layers);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_MODEL_LAYERS_LINEAR_H_
