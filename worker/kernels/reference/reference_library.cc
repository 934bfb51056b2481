#include "worker/kernels/reference/reference_library.h"

#include "common/base/status_macros.h"
#include "worker/kernels/check_call.h"
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

}  // namespace ringmaster
