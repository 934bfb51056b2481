#include "worker/kernels/reference/reference_library.h"

#include <type_traits>
#include <variant>

#include "common/base/status_macros.h"
#include "worker/kernels/check_call.h"
#include "worker/kernels/convolution_by_gemm.h"
#include "worker/kernels/reference/ops.h"

namespace ringmaster {

int64_t ReferenceLibrary::convolution_scratch_floats(const ConvShape& largest,
                                                     int64_t out_channels) const {
  return ConvolutionByGemmScratchFloats(*this, largest);
}

absl::Status ReferenceLibrary::Make(const Operation& operation) {
  RM_RETURN_IF_ERROR(CheckIndices(operation));
  return std::visit(
      [this](const auto& call) {
        if constexpr (kIsConvolution<std::decay_t<decltype(call)>>) {
          return ConvolutionByGemm(call, *this);
        } else {
          return StatusOf([&] { return reference::Compute(call); });
        }
      },
      operation);
}

}  // namespace ringmaster
