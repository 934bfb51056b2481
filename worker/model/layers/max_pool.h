#ifndef RINGMASTER_WORKER_MODEL_LAYERS_MAX_POOL_H_
#define RINGMASTER_WORKER_MODEL_LAYERS_MAX_POOL_H_

#include <memory>

#include "absl/status/statusor.h"
#include "common/tensor/tensor.h"
#include "worker/kernels/kernel_library.h"
#include "worker/model/layers/layer.h"

namespace ringmaster {

struct MaxPool2dOptions {
  int64_t channels = 0, height = 0, width = 0;  // of the input; height and width even
  int64_t max_batch = 0;
};

// 2x2 maximum pooling, stride 2, of CNHW images.
class MaxPool2d final : public Layer {
 public:
  // Errors: no memory for the positions of the maxima.
  static absl::StatusOr<std::unique_ptr<Layer>> Create(const MaxPool2dOptions& options,
                                                       KernelLibrary& kernels);

  absl::Span<const LayerParam> params() const override { return {}; }
  int64_t output_elements() const override;
  bool in_place() const override { return false; }
  void Forward(const LayerCall& call, Operations* operations) override;
  void ParamGradient(const LayerCall& call, Operations* operations) override;
  void InputGradient(const LayerCall& call, Operations* operations) override;

 private:
  MaxPool2d(const MaxPool2dOptions& options, Buffer argmax);

  const MaxPool2dOptions options_;
  const Buffer argmax_;  // one byte an output
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_MODEL_LAYERS_MAX_POOL_H_
