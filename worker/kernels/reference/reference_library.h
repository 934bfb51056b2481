#ifndef RINGMASTER_WORKER_KERNELS_REFERENCE_REFERENCE_LIBRARY_H_
#define RINGMASTER_WORKER_KERNELS_REFERENCE_REFERENCE_LIBRARY_H_

#include <string>

#include "worker/kernels/host_library.h"

namespace ringmaster {

// The oracle of the other libraries: plain loops, sums in double. Stateless; any thread, any number at once.
class ReferenceLibrary final : public HostLibrary {
 public:
  absl::string_view name() const override { return "reference"; }
  std::string target() const override { return "reference"; }
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
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_KERNELS_REFERENCE_REFERENCE_LIBRARY_H_
