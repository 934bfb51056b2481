#include "worker/kernels/convolution_by_gemm.h"

#include <algorithm>

#include "common/base/partition.h"
#include "common/base/status_macros.h"

namespace ringmaster {
namespace {

int64_t Pixels(const ConvShape& shape) { return shape.out_height() * shape.out_width(); }
int64_t Taps(const ConvShape& shape) { return shape.channels * shape.kernel * shape.kernel; }

int64_t BlockImages(const KernelLibrary& kernels, const ConvShape& largest) {
  const int64_t image_bytes = Taps(largest) * Pixels(largest) * static_cast<int64_t>(sizeof(float));
  if (image_bytes == 0 || largest.images == 0) return 1;
  const int64_t most =
      std::clamp<int64_t>(kernels.fast_scratch_bytes() / image_bytes, 1, largest.images);
  // As many blocks as that needs, of even size.
  return CeilDiv(largest.images, CeilDiv(largest.images, most));
}

}  // namespace

int64_t ConvolutionByGemmScratchFloats(const KernelLibrary& kernels, const ConvShape& largest) {
  return BlockImages(kernels, largest) * Taps(largest) * Pixels(largest);
}

absl::Status ConvolutionByGemm(const ConvolutionCall& call, KernelLibrary& kernels) {
  const ConvShape& shape = call.shape;
  const int64_t block = BlockImages(kernels, call.largest);
  for (int64_t begin = 0; begin < shape.images; begin += block) {
    const int64_t count = std::min(block, shape.images - begin);
    RM_RETURN_IF_ERROR(kernels.Run(Im2ColCall{shape, begin, count, call.input, call.scratch}));
    GemmCall gemm;
    gemm.m = call.out_channels;
    gemm.n = count * Pixels(shape);
    gemm.k = Taps(shape);
    gemm.a = call.weights;
    gemm.lda = gemm.k;
    gemm.b = call.scratch;
    gemm.ldb = gemm.n;
    gemm.c = call.output + begin * Pixels(shape);
    gemm.ldc = shape.images * Pixels(shape);
    RM_RETURN_IF_ERROR(kernels.Run(gemm));
  }
  return absl::OkStatus();
}

absl::Status ConvolutionByGemm(const ConvolutionWeightGradientCall& call, KernelLibrary& kernels) {
  const ConvShape& shape = call.shape;
  const int64_t block = BlockImages(kernels, call.largest);
  if (shape.images == 0)
    return kernels.Run(FillZeroCall{call.weight_gradient, call.out_channels * Taps(shape)});
  for (int64_t begin = 0; begin < shape.images; begin += block) {
    const int64_t count = std::min(block, shape.images - begin);
    RM_RETURN_IF_ERROR(kernels.Run(Im2ColCall{shape, begin, count, call.input, call.scratch}));
    GemmCall gemm;
    gemm.transpose_b = true;
    gemm.m = call.out_channels;
    gemm.n = Taps(shape);
    gemm.k = count * Pixels(shape);
    gemm.a = call.output_gradient + begin * Pixels(shape);
    gemm.lda = shape.images * Pixels(shape);
    gemm.b = call.scratch;
    gemm.ldb = gemm.k;
    gemm.beta = begin == 0 ? 0.0f : 1.0f;
    gemm.c = call.weight_gradient;
    gemm.ldc = gemm.n;
    RM_RETURN_IF_ERROR(kernels.Run(gemm));
  }
  return absl::OkStatus();
}

absl::Status ConvolutionByGemm(const ConvolutionInputGradientCall& call, KernelLibrary& kernels) {
  const ConvShape& shape = call.shape;
  const int64_t block = BlockImages(kernels, call.largest);
  RM_RETURN_IF_ERROR(kernels.Run(FillZeroCall{
      call.input_gradient, shape.channels * shape.images * shape.height * shape.width}));
  for (int64_t begin = 0; begin < shape.images; begin += block) {
    const int64_t count = std::min(block, shape.images - begin);
    GemmCall gemm;
    gemm.transpose_a = true;
    gemm.m = Taps(shape);
    gemm.n = count * Pixels(shape);
    gemm.k = call.out_channels;
    gemm.a = call.weights;
    gemm.lda = gemm.m;
    gemm.b = call.output_gradient + begin * Pixels(shape);
    gemm.ldb = shape.images * Pixels(shape);
    gemm.c = call.scratch;
    gemm.ldc = gemm.n;
    RM_RETURN_IF_ERROR(kernels.Run(gemm));
    RM_RETURN_IF_ERROR(
        kernels.Run(Col2ImCall{shape, begin, count, call.scratch, call.input_gradient}));
  }
  return absl::OkStatus();
}

}  // namespace ringmaster
