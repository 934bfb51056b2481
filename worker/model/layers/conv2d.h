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

// Convolution of CNHW images, stride 1, without bias (BiasRelu adds that): output[out_channels][images][oh][ow].
//
// Works through blocks of images whose columns fit the library's fast scratch: im2col of a block, then one GEMM
// straight into its place in the output. Backward makes the columns again rather than keep them, and adds the blocks'
// weight gradients up in order, so the blocks decide the rounding: they depend on the largest batch, not on the one
// at hand.
class Conv2d final : public Layer {
 public:
  // `kernels` outlives the layer. Errors: no memory for the columns.
  static absl::StatusOr<std::unique_ptr<Layer>> Create(const Conv2dOptions& options, KernelLibrary& kernels);

  absl::Span<const LayerParam> params() const override { return params_; }
  int64_t output_elements() const override { return options_.out_channels * pixels(); }
  bool in_place() const override { return false; }
  absl::Status Forward(const LayerCall& call) override;
  absl::Status ParamGradient(const LayerCall& call) override;
  absl::Status InputGradient(const LayerCall& call) override;

 private:
  // Images [begin, begin + count) of a batch.
  struct Block {
    int64_t begin = 0, count = 0;
  };

  Conv2d(const Conv2dOptions& options, KernelLibrary& kernels, int64_t block_images, Buffer columns);

  int64_t pixels() const { return options_.shape.out_height() * options_.shape.out_width(); }
  int64_t taps() const { return options_.shape.channels * options_.shape.kernel * options_.shape.kernel; }
  ConvShape ShapeOf(int64_t batch) const;
  Block BlockAt(int64_t begin, int64_t batch) const;
  absl::Status FillColumns(const LayerCall& call, const Block& block);

  const Conv2dOptions options_;
  KernelLibrary& kernels_;
  const std::array<LayerParam, 1> params_;
  const int64_t block_images_;
  const Buffer columns_;  // [taps][block_images * pixels], rows packed to the block at hand
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_MODEL_LAYERS_CONV2D_H_
