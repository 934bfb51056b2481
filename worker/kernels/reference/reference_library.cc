#include "worker/kernels/reference/reference_library.h"

#include "common/base/status_macros.h"
#include "worker/kernels/check_call.h"
#include "worker/kernels/convolution_by_gemm.h"
#include "worker/kernels/reference/ops.h"

namespace ringmaster {

absl::Status ReferenceLibrary::Gemm(const GemmCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  reference::Gemm(call);
  return absl::OkStatus();
}

absl::Status ReferenceLibrary::AddBias(const BiasCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  reference::AddBias(call);
  return absl::OkStatus();
}

absl::Status ReferenceLibrary::BiasGradient(const BiasGradientCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  reference::BiasGradient(call);
  return absl::OkStatus();
}

absl::Status ReferenceLibrary::ReluBackward(const ReluBackwardCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  reference::ReluBackward(call);
  return absl::OkStatus();
}

absl::Status ReferenceLibrary::Im2Col(const Im2ColCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  reference::Im2Col(call);
  return absl::OkStatus();
}

absl::Status ReferenceLibrary::Col2Im(const Col2ImCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  reference::Col2Im(call);
  return absl::OkStatus();
}

absl::Status ReferenceLibrary::Convolution(const ConvolutionCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  return ConvolutionByGemm(call, *this);
}

absl::Status ReferenceLibrary::ConvolutionWeightGradient(const ConvolutionWeightGradientCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  return ConvolutionWeightGradientByGemm(call, *this);
}

absl::Status ReferenceLibrary::ConvolutionInputGradient(const ConvolutionInputGradientCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  return ConvolutionInputGradientByGemm(call, *this);
}

int64_t ReferenceLibrary::convolution_scratch_floats(const ConvShape& largest, int64_t out_channels) const {
  return ConvolutionByGemmScratchFloats(*this, largest);
}

absl::Status ReferenceLibrary::MaxPool(const MaxPoolCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  reference::MaxPool(call);
  return absl::OkStatus();
}

absl::Status ReferenceLibrary::MaxPoolBackward(const MaxPoolBackwardCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  reference::MaxPoolBackward(call);
  return absl::OkStatus();
}

absl::Status ReferenceLibrary::SwapAxes(const SwapAxesCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  reference::SwapAxes(call);
  return absl::OkStatus();
}

absl::Status ReferenceLibrary::SoftmaxCrossEntropy(const SoftmaxCrossEntropyCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  RM_RETURN_IF_ERROR(CheckLabels(call));
  reference::SoftmaxCrossEntropy(call);
  return absl::OkStatus();
}

absl::Status ReferenceLibrary::Relu(const ReluCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  reference::Relu(call);
  return absl::OkStatus();
}

absl::Status ReferenceLibrary::Add(const AddCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  reference::Add(call);
  return absl::OkStatus();
}

absl::Status ReferenceLibrary::Gelu(const GeluCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  reference::Gelu(call);
  return absl::OkStatus();
}

absl::Status ReferenceLibrary::GeluBackward(const GeluBackwardCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  reference::GeluBackward(call);
  return absl::OkStatus();
}

absl::Status ReferenceLibrary::Dropout(const DropoutCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  reference::Dropout(call);
  return absl::OkStatus();
}

absl::Status ReferenceLibrary::AveragePool(const AveragePoolCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  reference::AveragePool(call);
  return absl::OkStatus();
}

absl::Status ReferenceLibrary::AveragePoolBackward(const AveragePoolBackwardCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  reference::AveragePoolBackward(call);
  return absl::OkStatus();
}

absl::Status ReferenceLibrary::Norm(const NormCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  reference::Norm(call);
  return absl::OkStatus();
}

absl::Status ReferenceLibrary::NormInference(const NormInferenceCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  reference::NormInference(call);
  return absl::OkStatus();
}

absl::Status ReferenceLibrary::NormParamGradient(const NormParamGradientCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  reference::NormParamGradient(call);
  return absl::OkStatus();
}

absl::Status ReferenceLibrary::NormInputGradient(const NormInputGradientCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  reference::NormInputGradient(call);
  return absl::OkStatus();
}

absl::Status ReferenceLibrary::Embedding(const EmbeddingCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  RM_RETURN_IF_ERROR(CheckTokens(call));
  reference::Embedding(call);
  return absl::OkStatus();
}

absl::Status ReferenceLibrary::EmbeddingGradient(const EmbeddingGradientCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  RM_RETURN_IF_ERROR(CheckTokens(call));
  reference::EmbeddingGradient(call);
  return absl::OkStatus();
}

absl::Status ReferenceLibrary::Attention(const AttentionCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  reference::Attention(call);
  return absl::OkStatus();
}

absl::Status ReferenceLibrary::AttentionBackward(const AttentionBackwardCall& call) {
  RM_RETURN_IF_ERROR(CheckCall(call));
  reference::AttentionBackward(call);
  return absl::OkStatus();
}

}  // namespace ringmaster
