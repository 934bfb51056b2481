#ifndef RINGMASTER_WORKER_KERNELS_CHECK_CALL_H_
#define RINGMASTER_WORKER_KERNELS_CHECK_CALL_H_

#include "absl/status/status.h"
#include "worker/kernels/kernel_library.h"

namespace ringmaster {

// Whether the sizes of a call make sense; every library asks before it touches memory, so that all refuse alike.
// InvalidArgument names the operation, its sizes and what was expected. Reads no element. Thread-safe.
absl::Status CheckCall(const GemmCall& call);
absl::Status CheckCall(const BiasCall& call);
absl::Status CheckCall(const BiasGradientCall& call);
absl::Status CheckCall(const ReluBackwardCall& call);
absl::Status CheckCall(const Im2ColCall& call);
absl::Status CheckCall(const Col2ImCall& call);
absl::Status CheckCall(const ConvolutionCall& call);
absl::Status CheckCall(const ConvolutionWeightGradientCall& call);
absl::Status CheckCall(const ConvolutionInputGradientCall& call);
absl::Status CheckCall(const MaxPoolCall& call);
absl::Status CheckCall(const MaxPoolBackwardCall& call);
absl::Status CheckCall(const SwapAxesCall& call);
absl::Status CheckCall(const SoftmaxCrossEntropyCall& call);
absl::Status CheckCall(const ReluCall& call);
absl::Status CheckCall(const AddCall& call);
absl::Status CheckCall(const GeluCall& call);
absl::Status CheckCall(const GeluBackwardCall& call);
absl::Status CheckCall(const DropoutCall& call);
absl::Status CheckCall(const AveragePoolCall& call);
absl::Status CheckCall(const AveragePoolBackwardCall& call);
absl::Status CheckCall(const NormCall& call);
absl::Status CheckCall(const NormInferenceCall& call);
absl::Status CheckCall(const NormParamGradientCall& call);
absl::Status CheckCall(const NormInputGradientCall& call);
absl::Status CheckCall(const EmbeddingCall& call);
absl::Status CheckCall(const EmbeddingGradientCall& call);
absl::Status CheckCall(const AttentionCall& call);
absl::Status CheckCall(const AttentionBackwardCall& call);
absl::Status CheckCall(const EncodeCall& call);
// The `count` of CopyFloats.
absl::Status CheckCopyFloats(int64_t count);

// Whether every label of the call, readable from the host, is in [0, classes). InvalidArgument names the first that
// is not.
absl::Status CheckLabels(const SoftmaxCrossEntropyCall& call);
// The same for tokens in [0, vocabulary).
absl::Status CheckTokens(const EmbeddingCall& call);
absl::Status CheckTokens(const EmbeddingGradientCall& call);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_KERNELS_CHECK_CALL_H_
