#ifndef RINGMASTER_WORKER_MODEL_LAYERS_RESIDUAL_H_
#define RINGMASTER_WORKER_MODEL_LAYERS_RESIDUAL_H_

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "common/tensor/tensor.h"
#include "worker/kernels/kernel_library.h"
#include "worker/model/layers/layer.h"

namespace ringmaster {

// A residual connection in a list of layers: a fork, the layers of the branch, a join. The sum at
// the join is branch + skip, where skip is what came to the fork, through a projection if the sizes
// differ. Going back, the gradient at the join goes both ways, and the fork adds what comes back on
// both.

// Where the branch begins. Costs nothing forward: it remembers where the activation lies, which is
// kept for backward anyway. Backward adds the skip path's gradient.
class ResidualFork final : public Layer {
 public:
  // `elements`: of one sample. Errors: no memory for the skip path's gradient.
  static absl::StatusOr<std::unique_ptr<ResidualFork>> Create(int64_t elements, int64_t max_batch,
                                                              KernelLibrary& kernels);

  absl::Span<const LayerParam> params() const override { return {}; }
  int64_t output_elements() const override { return elements_; }
  bool in_place() const override { return true; }
  bool output_is_kept() const override { return true; }
  void Forward(const LayerCall& call, Operations* operations) override;
  void ParamGradient(const LayerCall& call, Operations* operations) override;
  void InputGradient(const LayerCall& call, Operations* operations) override;

  // For the join: what came here, since Forward; and where it leaves the gradient that comes back
  // on the skip path.
  const float* activation() const { return activation_; }
  float* skip_gradient() const { return skip_gradient_.floats(); }

 private:
  ResidualFork(int64_t elements, Buffer skip_gradient);

  const int64_t elements_;
  const Buffer skip_gradient_;
  const float* activation_ = nullptr;
};

// The skip path's layers where the branch changes the sizes: a convolution, then a norm.
struct ResidualProjection {
  std::unique_ptr<Layer> convolution;
  std::unique_ptr<Layer> norm;
};

// Where the branch ends: adds the skip path to it, in place. The layer before must not need its
// output again. Its parameters are the projection's, the convolution's first.
class ResidualJoin final : public Layer {
 public:
  // `fork` comes before in the same list. Errors: no memory for the projection's output.
  static std::unique_ptr<Layer> Create(const ResidualFork& fork, int64_t elements);
  static absl::StatusOr<std::unique_ptr<Layer>> Create(const ResidualFork& fork,
                                                       ResidualProjection projection,
                                                       int64_t max_batch, KernelLibrary& kernels);

  absl::Span<const LayerParam> params() const override { return params_; }
  int64_t output_elements() const override { return elements_; }
  bool in_place() const override { return true; }
  void Forward(const LayerCall& call, Operations* operations) override;
  void ParamGradient(const LayerCall& call, Operations* operations) override;
  void InputGradient(const LayerCall& call, Operations* operations) override;

 private:
  ResidualJoin(const ResidualFork& fork, ResidualProjection projection, int64_t elements);

  bool has_projection() const { return projection_.convolution != nullptr; }
  // The calls of the projection's layers, forward parts and gradients of parameters.
  LayerCall ConvolutionCallOf(const LayerCall& call) const;
  LayerCall NormCallOf(const LayerCall& call) const;

  const ResidualFork& fork_;
  const ResidualProjection projection_;
  const int64_t elements_;
  std::vector<LayerParam> params_;
  int64_t norm_begin_ = 0;  // of the norm's parameters among params_, elements
  Buffer convolved_;        // the convolution's output
  Buffer projected_;        // the norm's output; backward: the gradient of the convolution's output
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_MODEL_LAYERS_RESIDUAL_H_
