#include "worker/kernels/cpu/cpu_library.h"

#include <type_traits>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "worker/kernels/check_call.h"
#include "worker/kernels/convolution_by_gemm.h"
#include "worker/kernels/cpu/loops/loops.h"
#include "worker/kernels/cpu/ops.h"
#include "worker/kernels/host_library.h"

namespace ringmaster {
namespace {

// Whether Call is an operation that is told the loops.
template <typename Call, typename = void>
inline constexpr bool kTakesLoops = false;
template <typename Call>
inline constexpr bool kTakesLoops<
    Call, std::void_t<decltype(cpu::Compute(std::declval<Call>(), std::declval<cpu::Loops>()))>> =
    true;

class CpuLibrary final : public HostLibrary {
 public:
  explicit CpuLibrary(const cpu::Loops& loops) : loops_(loops) {}

  absl::string_view name() const override { return "cpu"; }
  std::string target() const override {
    return absl::StrCat(cpu::GemmTarget(), ", loops ", loops_.name);
  }
  int64_t convolution_scratch_floats(const ConvShape& largest, int64_t out_channels) const override;
  int64_t attention_scratch_floats(const AttentionShape& shape) const override {
    return cpu::AttentionScratchFloats(shape);
  }

 protected:
  absl::Status Make(const Operation& operation) override;

 private:
  const cpu::Loops& loops_;
};

int64_t CpuLibrary::convolution_scratch_floats(const ConvShape& largest,
                                               int64_t out_channels) const {
  return loops_.has_direct_convolution(largest, out_channels)
             ? loops_.direct_convolution_scratch_floats(largest, out_channels)
             : ConvolutionByGemmScratchFloats(*this, largest);
}

absl::Status CpuLibrary::Make(const Operation& operation) {
  RM_RETURN_IF_ERROR(CheckIndices(operation));
  return std::visit(
      [this](const auto& call) {
        using Call = std::decay_t<decltype(call)>;
        if constexpr (kIsConvolution<Call>) {
          if (!loops_.has_direct_convolution(call.shape, call.out_channels))
            return ConvolutionByGemm(call, *this);
          cpu::DirectConvolution(call, loops_);
          return absl::OkStatus();
        } else if constexpr (kTakesLoops<Call>) {
          return StatusOf([&] { return cpu::Compute(call, loops_); });
        } else {
          return StatusOf([&] { return cpu::Compute(call); });
        }
      },
      operation);
}

}  // namespace

absl::StatusOr<std::unique_ptr<KernelLibrary>> CreateCpuLibrary() {
  return CreateCpuLibraryOf(&cpu::BestLoops());
}

absl::StatusOr<std::unique_ptr<KernelLibrary>> CreateCpuLibraryOf(const cpu::Loops* loops) {
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) {
    return absl::UnavailableError(
        "kernel library \"cpu\": this processor lacks AVX2 or FMA, which its loops are compiled "
        "for; use an x86-64-v3 processor");
  }
  if (loops == nullptr) {
    return absl::UnavailableError(
        "kernel library \"cpu\" with loops for AVX-512: this processor lacks it; take those for "
        "AVX2");
  }
  return std::unique_ptr<KernelLibrary>(new CpuLibrary(*loops));
}

std::string CpuBlasTarget() {
  return absl::StrCat(cpu::GemmTarget(), ", loops ", cpu::BestLoops().name);
}

}  // namespace ringmaster
