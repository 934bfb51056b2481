#ifndef RINGMASTER_TESTS_SUPPORT_LATE_DEVICE_H_
#define RINGMASTER_TESTS_SUPPORT_LATE_DEVICE_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "worker/kernels/kernel_library.h"
#include "worker/kernels/reference/reference_library.h"

namespace ringmaster {

struct LateDeviceOptions {
  // A look at a copy finds it done when at least so many have been started after it. Absent: it is done only once
  // somebody waits for it.
  std::optional<int64_t> lag;
  // The copy to the host, counted from 0, that fails; -1: none.
  int64_t failing_fetch = -1;
  // Told of each copy to the host when it is started, by its number.
  std::function<void(int64_t fetch)> fetch_started;
};

// A device whose memory is the host's and whose operations are the reference's, with copies beside them that come as late
// as a test wants, in their order: until then where they go to holds NaN, and what they read is read only when they come.
// So a gradient that is used too soon, or overwritten too soon, gives other bits than the reference does. One thread.
class LateDevice final : public KernelLibrary {
 public:
  explicit LateDevice(LateDeviceOptions options = {}) : options_(std::move(options)) {}

  absl::string_view name() const override { return "late"; }
  Place place() const override { return Place::kDevice; }
  std::string target() const override { return operations_.target(); }
  int64_t fast_scratch_bytes() const override { return operations_.fast_scratch_bytes(); }
  absl::StatusOr<Buffer> Allocate(int64_t size_bytes) override;
  absl::StatusOr<Buffer> AllocateStaging(int64_t size_bytes) override;

  absl::Status Gemm(const GemmCall& call) override { return operations_.Gemm(call); }
  absl::Status AddBias(const BiasCall& call) override { return operations_.AddBias(call); }
  absl::Status BiasGradient(const BiasGradientCall& call) override { return operations_.BiasGradient(call); }
  absl::Status ReluBackward(const ReluBackwardCall& call) override { return operations_.ReluBackward(call); }
  absl::Status Im2Col(const Im2ColCall& call) override { return operations_.Im2Col(call); }
  absl::Status Col2Im(const Col2ImCall& call) override { return operations_.Col2Im(call); }
  absl::Status Convolution(const ConvolutionCall& call) override { return operations_.Convolution(call); }
  absl::Status ConvolutionWeightGradient(const ConvolutionWeightGradientCall& call) override {
    return operations_.ConvolutionWeightGradient(call);
  }
  absl::Status ConvolutionInputGradient(const ConvolutionInputGradientCall& call) override {
    return operations_.ConvolutionInputGradient(call);
  }
  absl::Status MaxPool(const MaxPoolCall& call) override { return operations_.MaxPool(call); }
  absl::Status MaxPoolBackward(const MaxPoolBackwardCall& call) override { return operations_.MaxPoolBackward(call); }
  absl::Status SwapAxes(const SwapAxesCall& call) override { return operations_.SwapAxes(call); }
  absl::Status SoftmaxCrossEntropy(const SoftmaxCrossEntropyCall& call) override {
    return operations_.SoftmaxCrossEntropy(call);
  }
  absl::Status Relu(const ReluCall& call) override { return operations_.Relu(call); }
  absl::Status Add(const AddCall& call) override { return operations_.Add(call); }
  absl::Status Gelu(const GeluCall& call) override { return operations_.Gelu(call); }
  absl::Status GeluBackward(const GeluBackwardCall& call) override { return operations_.GeluBackward(call); }
  absl::Status Dropout(const DropoutCall& call) override { return operations_.Dropout(call); }
  absl::Status AveragePool(const AveragePoolCall& call) override { return operations_.AveragePool(call); }
  absl::Status AveragePoolBackward(const AveragePoolBackwardCall& call) override {
    return operations_.AveragePoolBackward(call);
  }
  absl::Status Norm(const NormCall& call) override { return operations_.Norm(call); }
  absl::Status NormInference(const NormInferenceCall& call) override { return operations_.NormInference(call); }
  absl::Status NormParamGradient(const NormParamGradientCall& call) override {
    return operations_.NormParamGradient(call);
  }
  absl::Status NormInputGradient(const NormInputGradientCall& call) override {
    return operations_.NormInputGradient(call);
  }
  absl::Status Embedding(const EmbeddingCall& call) override { return operations_.Embedding(call); }
  absl::Status EmbeddingGradient(const EmbeddingGradientCall& call) override {
    return operations_.EmbeddingGradient(call);
  }
  absl::Status Attention(const AttentionCall& call) override { return operations_.Attention(call); }
  absl::Status AttentionBackward(const AttentionBackwardCall& call) override {
    return operations_.AttentionBackward(call);
  }
  int64_t convolution_scratch_floats(const ConvShape& largest, int64_t out_channels) const override {
    return operations_.convolution_scratch_floats(largest, out_channels);
  }
  absl::Status FillZero(float* data, int64_t count) override { return operations_.FillZero(data, count); }
  absl::Status CopyFloats(const float* from, float* to, int64_t count) override {
    return operations_.CopyFloats(from, to, count);
  }
  absl::Status CopyToHost(const void* from, void* to, int64_t size_bytes) override {
    return operations_.CopyToHost(from, to, size_bytes);
  }
  absl::Status CopyFromHost(const void* from, void* to, int64_t size_bytes) override {
    return operations_.CopyFromHost(from, to, size_bytes);
  }
  absl::Status StartCopyToHost(const SideCopy& copy) override;
  absl::Status StartCopyFromHost(const SideCopy& copy) override;
  absl::StatusOr<std::unique_ptr<WorkPoint>> CreatePoint() override;
  absl::Status Mark(WorkPoint& point) override;
  absl::Status OrderAfter(WorkPoint& point) override;
  absl::Status Finish() override { return absl::OkStatus(); }

 private:
  class Point;
  struct Waiting {
    SideCopy copy;
    bool fails = false;
  };

  void Start(const SideCopy& copy, bool fails);
  // Lets the copies up to `copy` come.
  absl::Status Complete(int64_t copy);

  const LateDeviceOptions options_;
  ReferenceLibrary operations_;
  std::deque<Waiting> waiting_;  // the copies under way, the oldest first
  int64_t started_ = 0;
  int64_t fetches_ = 0;
};

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_SUPPORT_LATE_DEVICE_H_
