#include "worker/model/layers/conv2d.h"

#include <algorithm>
#include <utility>

#include "common/base/partition.h"
#include "common/base/status_macros.h"

namespace ringmaster {

absl::StatusOr<std::unique_ptr<Layer>> Conv2d::Create(const Conv2dOptions& options, KernelLibrary& kernels) {
  const ConvShape& shape = options.shape;
  const int64_t image_bytes = shape.channels * shape.kernel * shape.kernel * shape.out_height() * shape.out_width() *
                              static_cast<int64_t>(sizeof(float));
  const int64_t most = std::clamp<int64_t>(kernels.fast_scratch_bytes() / image_bytes, 1, shape.images);
  // As many blocks as that needs, of even size.
  const int64_t block_images = CeilDiv(shape.images, CeilDiv(shape.images, most));
  RM_ASSIGN_OR_RETURN(Buffer columns, kernels.Allocate(block_images * image_bytes));
  return std::unique_ptr<Layer>(new Conv2d(options, kernels, block_images, std::move(columns)));
}

Conv2d::Conv2d(const Conv2dOptions& options, KernelLibrary& kernels, int64_t block_images, Buffer columns)
    : options_(options),
      kernels_(kernels),
      params_{LayerParam{options.name + ".weight",
                         {options.out_channels, options.shape.channels, options.shape.kernel, options.shape.kernel},
                         options.shape.channels * options.shape.kernel * options.shape.kernel}},
      block_images_(block_images),
      columns_(std::move(columns)) {}

ConvShape Conv2d::ShapeOf(int64_t batch) const {
  ConvShape shape = options_.shape;
  shape.images = batch;
  return shape;
}

Conv2d::Block Conv2d::BlockAt(int64_t begin, int64_t batch) const {
  return {begin, std::min(block_images_, batch - begin)};
}

absl::Status Conv2d::FillColumns(const LayerCall& call, const Block& block) {
  return kernels_.Im2Col({ShapeOf(call.batch), block.begin, block.count, call.input, columns_.floats()});
}

absl::Status Conv2d::Forward(const LayerCall& call) {
  for (int64_t begin = 0; begin < call.batch; begin += block_images_) {
    const Block block = BlockAt(begin, call.batch);
    RM_RETURN_IF_ERROR(FillColumns(call, block));
    GemmCall gemm;
    gemm.m = options_.out_channels;
    gemm.n = block.count * pixels();
    gemm.k = taps();
    gemm.a = call.weights;
    gemm.lda = taps();
    gemm.b = columns_.floats();
    gemm.ldb = gemm.n;
    gemm.c = call.output + block.begin * pixels();
    gemm.ldc = call.batch * pixels();
    RM_RETURN_IF_ERROR(kernels_.Gemm(gemm));
  }
  return absl::OkStatus();
}

absl::Status Conv2d::ParamGradient(const LayerCall& call) {
  for (int64_t begin = 0; begin < call.batch; begin += block_images_) {
    const Block block = BlockAt(begin, call.batch);
    RM_RETURN_IF_ERROR(FillColumns(call, block));
    GemmCall gemm;
    gemm.transpose_b = true;
    gemm.m = options_.out_channels;
    gemm.n = taps();
    gemm.k = block.count * pixels();
    gemm.a = call.output_gradient + block.begin * pixels();
    gemm.lda = call.batch * pixels();
    gemm.b = columns_.floats();
    gemm.ldb = gemm.k;
    gemm.beta = begin == 0 ? 0.0f : 1.0f;
    gemm.c = call.gradients;
    gemm.ldc = taps();
    RM_RETURN_IF_ERROR(kernels_.Gemm(gemm));
  }
  return absl::OkStatus();
}

absl::Status Conv2d::InputGradient(const LayerCall& call) {
  const ConvShape shape = ShapeOf(call.batch);
  RM_RETURN_IF_ERROR(
      kernels_.FillZero(call.input_gradient, shape.channels * shape.images * shape.height * shape.width));
  for (int64_t begin = 0; begin < call.batch; begin += block_images_) {
    const Block block = BlockAt(begin, call.batch);
    GemmCall gemm;
    gemm.transpose_a = true;
    gemm.m = taps();
    gemm.n = block.count * pixels();
    gemm.k = options_.out_channels;
    gemm.a = call.weights;
    gemm.lda = taps();
    gemm.b = call.output_gradient + block.begin * pixels();
    gemm.ldb = call.batch * pixels();
    gemm.c = columns_.floats();
    gemm.ldc = gemm.n;
    RM_RETURN_IF_ERROR(kernels_.Gemm(gemm));
    RM_RETURN_IF_ERROR(
        kernels_.Col2Im({shape, block.begin, block.count, columns_.floats(), call.input_gradient}));
  }
  return absl::OkStatus();
}

}  // namespace ringmaster
