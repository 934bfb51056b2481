#include "worker/kernels/cpu/cpu_library.h"

#include <type_traits>
#include <variant>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "worker/kernels/check_call.h"
#include "worker/kernels/convolution_by_gemm.h"
#include "worker/kernels/cpu/direct_convolution.h"
#include "worker/kernels/cpu/ops.h"
#include "worker/kernels/host_library.h"

namespace ringmaster {
namespace {

class CpuLibrary final : public HostLibrary {
 public:
  absl::string_view name() const override { return "cpu"; }
  std::string target() const override { return CpuBlasTarget(); }
  int64_t convolution_scratch_floats(const ConvShape& largest, int64_t out_channels) const override;
  int64_t attention_scratch_floats(const AttentionShape& shape) const override {
    return cpu::AttentionScratchFloats(shape);
  }

 protected:
  absl::Status Make(const Operation& operation) override;
};

int64_t CpuLibrary::convolution_scratch_floats(const ConvShape& largest,
                                               int64_t out_channels) const {
  return cpu::HasDirectConvolution(largest, out_channels)
             ? cpu::DirectConvolutionScratchFloats(largest, out_channels)
             : ConvolutionByGemmScratchFloats(*this, largest);
}

absl::Status CpuLibrary::Make(const Operation& operation) {
  RM_RETURN_IF_ERROR(CheckIndices(operation));
  return std::visit(
      [this](const auto& call) {
        if constexpr (kIsConvolution<std::decay_t<decltype(call)>>) {
          if (!cpu::HasDirectConvolution(call.shape, call.out_channels))
            return ConvolutionByGemm(call, *this);
          return StatusOf([&] { return cpu::DirectConvolution(call); });
        } else {
          return StatusOf([&] { return cpu::Compute(call); });
        }
      },
      operation);
}

}  // namespace

absl::StatusOr<std::unique_ptr<KernelLibrary>> CreateCpuLibrary() {
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) {
    return absl::UnavailableError(
        "kernel library \"cpu\": this processor lacks AVX2 or FMA, which its loops are compiled "
        "for; use an x86-64-v3 processor");
  }
  return std::unique_ptr<KernelLibrary>(new CpuLibrary());
}

std::string CpuBlasTarget() {
  return absl::StrCat(cpu::GemmTarget(), cpu::HasWideConvolutions() ? ", convolutions avx512" : "");
}

}  // namespace ringmaster
