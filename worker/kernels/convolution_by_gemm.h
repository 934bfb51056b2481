#ifndef RINGMASTER_WORKER_KERNELS_CONVOLUTION_BY_GEMM_H_
#define RINGMASTER_WORKER_KERNELS_CONVOLUTION_BY_GEMM_H_

#include <cstdint>
#include <type_traits>

#include "absl/status/status.h"
#include "worker/kernels/kernel_library.h"

namespace ringmaster {

// Convolutions made of a library's other operations, for libraries and sizes without a better way:
// blocks of images whose columns fit the library's fast scratch, im2col of a block, then one Gemm
// straight into its place in the output. Backward makes the columns again rather than keep them,
// and adds the blocks' weight gradients up in order, so the blocks decide the rounding: they follow
// from call.largest, not from the batch at hand. Errors: the operations' own.

// What the calls take of scratch: the columns of a block.
int64_t ConvolutionByGemmScratchFloats(const KernelLibrary& kernels, const ConvShape& largest);

absl::Status ConvolutionByGemm(const ConvolutionCall& call, KernelLibrary& kernels);
absl::Status ConvolutionByGemm(const ConvolutionWeightGradientCall& call, KernelLibrary& kernels);
absl::Status ConvolutionByGemm(const ConvolutionInputGradientCall& call, KernelLibrary& kernels);

// Whether Call is one of the three.
template <typename Call>
inline constexpr bool kIsConvolution =
    std::is_same_v<Call, ConvolutionCall> || std::is_same_v<Call, ConvolutionWeightGradientCall> ||
    std::is_same_v<Call, ConvolutionInputGradientCall>;

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_KERNELS_CONVOLUTION_BY_GEMM_H_
