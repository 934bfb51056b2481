#ifndef RINGMASTER_WORKER_MODEL_LAYERS_NORM_H_
#define RINGMASTER_WORKER_MODEL_LAYERS_NORM_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/tensor/tensor.h"
#include "worker/kernels/kernel_library.h"
#include "worker/model/layers/layer.h"

namespace ringmaster {

struct NormOptions {
  // "bn1": parameters bn1.weight and bn1.bias [features], and the running statistics
  std::string name;
  NormShape shape;  // of one sample: rows are its tokens (layer) or 1 (batch and group)
  int64_t max_batch = 0;
};

// Layer, batch or group norm with a gain and a bias for each feature, epsilon 1e-5.
//
// Batch norm has two statistics more, name.running_mean and name.running_var: while training it
// norms by the batch's own and gives those out as their "gradient" (the variance corrected by
// n/(n-1), as PyTorch's), in evaluation it norms by the weights' running ones.
class Norm final : public Layer {
 public:
  // Errors: no memory for the statistics of a batch.
  static absl::StatusOr<std::unique_ptr<Layer>> Create(const NormOptions& options,
                                                       KernelLibrary& kernels);

  absl::Span<const LayerParam> params() const override { return params_; }
  int64_t output_elements() const override { return options_.shape.count(); }
  bool in_place() const override { return false; }
  void Forward(const LayerCall& call, Operations* operations) override;
  void ParamGradient(const LayerCall& call, Operations* operations) override;
  void InputGradient(const LayerCall& call, Operations* operations) override;

 private:
  explicit Norm(const NormOptions& options);

  NormShape ShapeOf(int64_t batch) const;
  bool has_running_statistics() const { return options_.shape.kind == NormKind::kBatch; }

  const NormOptions options_;
  const std::vector<LayerParam> params_;
  // Of the batch at hand, one for each of its groups.
  Buffer mean_;
  Buffer inverse_deviation_;
  Buffer variance_;  // batch norm only
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_MODEL_LAYERS_NORM_H_
