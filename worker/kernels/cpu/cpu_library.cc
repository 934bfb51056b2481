#include "worker/kernels/cpu/cpu_library.h"

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
  absl::Status Gemm(const GemmCall& call) override;
  absl::Status AddBias(const BiasCall& call) override;
  absl::Status BiasGradient(const BiasGradientCall& call) override;
  absl::Status ReluBackward(const ReluBackwardCall& call) override;
  absl::Status Im2Col(const Im2ColCall& call) override;
  absl::Status Col2Im(const Col2ImCall& call) override;
  absl::Status Convolution(const ConvolutionCall& call) override;
  absl::Status ConvolutionWeightGradient(const ConvolutionWeightGradientCall& call) override;
  absl::Status ConvolutionInputGradient(const ConvolutionInputGradientCall& call) override;
  int64_t convolution_scratch_floats(const ConvShape& largest, int64_t out_channels) const override;
  absl::Status MaxPool(const MaxPoolCall& call) override;
  absl::Status MaxPoolBackward(const MaxPoolBackwardCall& call) override;
  absl::Status SwapAxes(const SwapAxesCall& call) override;
  absl::Status SoftmaxCrossEntropy(const SoftmaxCrossEntropyCall& call) override;
  absl::Status Relu(const ReluCall& call) override;
  absl::Status Add(const AddCall& call) override;
  absl::Status Gelu(const GeluCall& call) override;
  absl::Status GeluBackward(const GeluBackwardCall& call) override;
  absl::Status Dropout(const DropoutCall& call) override;
  absl::Status AveragePool(const AveragePoolCall& call) override;
  absl::Status AveragePoolBackward(const AveragePoolBackwardCall& call) override;
  absl::Status Norm(const NormCall& call) override;
  absl::Status NormInference(const NormInferenceCall& call) override;
  absl::Status NormParamGradient(const NormParamGradientCall& call) override;
  absl::Status NormInputGradient(const NormInputGradientCall& call) override;
  absl::Status Embedding(const EmbeddingCall& call) override;
  absl::Status EmbeddingGradient(const EmbeddingGradientCall& call) override;
  absl::Status Attention(const AttentionCall& call) override;
  absl::Status AttentionBackward(const AttentionBackwardCall& call) override;
  int64_t attention_scratch_floats(const AttentionShape& shape) const override {
    return cpu::AttentionScratchFloats(shape);
  }
};

absl::Status CpuLibrary::Gemm(const GemmCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  return cpu::Gemm(call);
}

absl::Status CpuLibrary::AddBias(const BiasCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  cpu::AddBias(call);
  return absl::OkStatus();
}

absl::Status CpuLibrary::BiasGradient(const BiasGradientCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  cpu::BiasGradient(call);
  return absl::OkStatus();
}

absl::Status CpuLibrary::ReluBackward(const ReluBackwardCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  cpu::ReluBackward(call);
  return absl::OkStatus();
}

absl::Status CpuLibrary::Im2Col(const Im2ColCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  cpu::Im2Col(call);
  return absl::OkStatus();
}

absl::Status CpuLibrary::Col2Im(const Col2ImCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  cpu::Col2Im(call);
  return absl::OkStatus();
}

absl::Status CpuLibrary::Convolution(const ConvolutionCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  if (!cpu::HasDirectConvolution(call.shape, call.out_channels)) return ConvolutionByGemm(call, *this);
  cpu::DirectConvolution(call);
  return absl::OkStatus();
}

absl::Status CpuLibrary::ConvolutionWeightGradient(const ConvolutionWeightGradientCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  if (!cpu::HasDirectConvolution(call.shape, call.out_channels)) return ConvolutionWeightGradientByGemm(call, *this);
  cpu::DirectConvolutionWeightGradient(call);
  return absl::OkStatus();
}

absl::Status CpuLibrary::ConvolutionInputGradient(const ConvolutionInputGradientCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  if (!cpu::HasDirectConvolution(call.shape, call.out_channels)) return ConvolutionInputGradientByGemm(call, *this);
  cpu::DirectConvolutionInputGradient(call);
  return absl::OkStatus();
}

int64_t CpuLibrary::convolution_scratch_floats(const ConvShape& largest, int64_t out_channels) const {
  return cpu::HasDirectConvolution(largest, out_channels) ? cpu::DirectConvolutionScratchFloats(largest, out_channels)
                                            : ConvolutionByGemmScratchFloats(*this, largest);
}

absl::Status CpuLibrary::MaxPool(const MaxPoolCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  cpu::MaxPool(call);
  return absl::OkStatus();
}

absl::Status CpuLibrary::MaxPoolBackward(const MaxPoolBackwardCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  cpu::MaxPoolBackward(call);
  return absl::OkStatus();
}

absl::Status CpuLibrary::SwapAxes(const SwapAxesCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  cpu::SwapAxes(call);
  return absl::OkStatus();
}

absl::Status CpuLibrary::SoftmaxCrossEntropy(const SoftmaxCrossEntropyCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  RM_RETURN_IF_ERROR(CheckLabels(call));
  cpu::SoftmaxCrossEntropy(call);
  return absl::OkStatus();
}

absl::Status CpuLibrary::Relu(const ReluCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  cpu::Relu(call);
  return absl::OkStatus();
}

absl::Status CpuLibrary::Add(const AddCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  cpu::Add(call);
  return absl::OkStatus();
}

absl::Status CpuLibrary::Gelu(const GeluCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  cpu::Gelu(call);
  return absl::OkStatus();
}

absl::Status CpuLibrary::GeluBackward(const GeluBackwardCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  cpu::GeluBackward(call);
  return absl::OkStatus();
}

absl::Status CpuLibrary::Dropout(const DropoutCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  cpu::Dropout(call);
  return absl::OkStatus();
}

absl::Status CpuLibrary::AveragePool(const AveragePoolCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  cpu::AveragePool(call);
  return absl::OkStatus();
}

absl::Status CpuLibrary::AveragePoolBackward(const AveragePoolBackwardCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  cpu::AveragePoolBackward(call);
  return absl::OkStatus();
}

absl::Status CpuLibrary::Norm(const NormCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  cpu::Norm(call);
  return absl::OkStatus();
}

absl::Status CpuLibrary::NormInference(const NormInferenceCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  cpu::NormInference(call);
  return absl::OkStatus();
}

absl::Status CpuLibrary::NormParamGradient(const NormParamGradientCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  cpu::NormParamGradient(call);
  return absl::OkStatus();
}

absl::Status CpuLibrary::NormInputGradient(const NormInputGradientCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  cpu::NormInputGradient(call);
  return absl::OkStatus();
}

absl::Status CpuLibrary::Embedding(const EmbeddingCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  RM_RETURN_IF_ERROR(CheckTokens(call));
  cpu::Embedding(call);
  return absl::OkStatus();
}

absl::Status CpuLibrary::EmbeddingGradient(const EmbeddingGradientCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  RM_RETURN_IF_ERROR(CheckTokens(call));
  cpu::EmbeddingGradient(call);
  return absl::OkStatus();
}

absl::Status CpuLibrary::Attention(const AttentionCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  return cpu::Attention(call);
}

absl::Status CpuLibrary::AttentionBackward(const AttentionBackwardCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  return cpu::AttentionBackward(call);
}

}  // namespace

absl::StatusOr<std::unique_ptr<KernelLibrary>> CreateCpuLibrary() {
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) {
    return absl::UnavailableError(
        "kernel library \"cpu\": this processor lacks AVX2 or FMA, which its loops are compiled for; use an x86-64-v3 "
        "processor");
  }
  return std::unique_ptr<KernelLibrary>(new CpuLibrary());
}

std::string CpuBlasTarget() {
  return absl::StrCat(cpu::GemmTarget(), cpu::HasWideConvolutions() ? ", convolutions avx512" : "");
}

}  // namespace ringmaster
