#ifndef RINGMASTER_WORKER_MODEL_LAYERS_CONV2D_H_
#define RINGMASTER_WORKER_MODEL_LAYERS_CONV2D_H_

#include <array>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/tensor/tensor.h"
#include "worker/kernels/kernel_library.h"
#include "worker/model/layers/layer.h"

namespace ringmaster {

struct Conv2dOptions {
  std::string name;  // "conv1": parameter conv1.weight [out_channels, channels, kernel, kernel]
  ConvShape shape;   // of the input; images = the largest batch
  int64_t out_channels = 0;
};

// Convolution of CNHW images without bias (BiasRelu adds that):
// output[out_channels][images][oh][ow].
class Conv2d final : public Layer {
 public:
  // Errors: no memory for the scratch.
  static absl::StatusOr<std::unique_ptr<Layer>> Create(const Conv2dOptions& options,
                                                       KernelLibrary& kernels);

  absl::Span<const LayerParam> params() const override { return params_; }
  int64_t output_elements() const override {
    return options_.out_channels * options_.shape.out_height() * options_.shape.out_width();
  }
  bool in_place() const override { return false; }
  void Forward(const LayerCall& call, Operations* operations) override;
  void ParamGradient(const LayerCall& call, Operations* operations) override;
  void InputGradient(const LayerCall& call, Operations* operations) override;

 private:
  Conv2d(const Conv2dOptions& options, Buffer scratch);

  ConvShape ShapeOf(int64_t batch) const;

  const Conv2dOptions options_;
  const std::array<LayerParam, 1> params_;
  const Buffer scratch_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_MODEL_LAYERS_CONV2D_H_
