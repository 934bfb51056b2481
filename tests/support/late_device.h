#ifndef RINGMASTER_TESTS_SUPPORT_LATE_DEVICE_H_
#define RINGMASTER_TESTS_SUPPORT_LATE_DEVICE_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "worker/kernels/check_call.h"
#include "worker/kernels/kernel_library.h"
#include "worker/kernels/reference/reference_library.h"
#include "worker/kernels/segments.h"

namespace ringmaster {

struct LateDeviceOptions {
  // A look at a copy finds it done when at least so many have been started after it. Absent: it is done only once
  // somebody waits for it.
  std::optional<int64_t> lag;
  // The copy to the host, counted from 0, that fails; -1: none.
  int64_t failing_fetch = -1;
  // Told of each copy to the host when it is started, by its number.
  std::function<void(int64_t fetch)> fetch_started;
  // Told of each encoding that is called for.
  std::function<void(const EncodeCall& call)> encoding;
  // Told what it has done with segments when it ends.
  std::function<void(const SegmentCounts& counts)> ended;
};

// A device whose memory is the host's and whose operations are the reference's, with copies beside them that come as
// late as a test wants, in their order: until then where they go to holds NaN, and what they read is read only when they
// come. So a gradient that is used too soon, or overwritten too soon, gives other bits than the reference does. Segments
// whose calls come again are replayed from copies of their calls, as "cublas" replays graphs. One thread.
class LateDevice final : public KernelLibrary {
 public:
  explicit LateDevice(LateDeviceOptions options = {}) : options_(std::move(options)) {}
  ~LateDevice() override {
    if (options_.ended) options_.ended(counts_);
  }

  absl::string_view name() const override { return "late"; }
  Place place() const override { return Place::kDevice; }
  std::string target() const override { return operations_.target(); }
  int64_t fast_scratch_bytes() const override { return operations_.fast_scratch_bytes(); }
  absl::StatusOr<Buffer> Allocate(int64_t size_bytes) override;
  absl::StatusOr<Buffer> AllocateStaging(int64_t size_bytes) override;

  absl::Status Gemm(const GemmCall& call) override { return Do(call, &ReferenceLibrary::Gemm); }
  absl::Status AddBias(const BiasCall& call) override { return Do(call, &ReferenceLibrary::AddBias); }
  absl::Status BiasGradient(const BiasGradientCall& call) override { return Do(call, &ReferenceLibrary::BiasGradient); }
  absl::Status ReluBackward(const ReluBackwardCall& call) override { return Do(call, &ReferenceLibrary::ReluBackward); }
  absl::Status Im2Col(const Im2ColCall& call) override { return Do(call, &ReferenceLibrary::Im2Col); }
  absl::Status Col2Im(const Col2ImCall& call) override { return Do(call, &ReferenceLibrary::Col2Im); }
  absl::Status Convolution(const ConvolutionCall& call) override { return Do(call, &ReferenceLibrary::Convolution); }
  absl::Status ConvolutionWeightGradient(const ConvolutionWeightGradientCall& call) override {
    return Do(call, &ReferenceLibrary::ConvolutionWeightGradient);
  }
  absl::Status ConvolutionInputGradient(const ConvolutionInputGradientCall& call) override {
    return Do(call, &ReferenceLibrary::ConvolutionInputGradient);
  }
  absl::Status MaxPool(const MaxPoolCall& call) override { return Do(call, &ReferenceLibrary::MaxPool); }
  absl::Status MaxPoolBackward(const MaxPoolBackwardCall& call) override {
    return Do(call, &ReferenceLibrary::MaxPoolBackward);
  }
  absl::Status SwapAxes(const SwapAxesCall& call) override { return Do(call, &ReferenceLibrary::SwapAxes); }
  absl::Status SoftmaxCrossEntropy(const SoftmaxCrossEntropyCall& call) override {
    return Do(call, &ReferenceLibrary::SoftmaxCrossEntropy);
  }
  absl::Status Relu(const ReluCall& call) override { return Do(call, &ReferenceLibrary::Relu); }
  absl::Status Add(const AddCall& call) override { return Do(call, &ReferenceLibrary::Add); }
  absl::Status Gelu(const GeluCall& call) override { return Do(call, &ReferenceLibrary::Gelu); }
  absl::Status GeluBackward(const GeluBackwardCall& call) override { return Do(call, &ReferenceLibrary::GeluBackward); }
  absl::Status Dropout(const DropoutCall& call) override { return Do(call, &ReferenceLibrary::Dropout); }
  absl::Status AveragePool(const AveragePoolCall& call) override { return Do(call, &ReferenceLibrary::AveragePool); }
  absl::Status AveragePoolBackward(const AveragePoolBackwardCall& call) override {
    return Do(call, &ReferenceLibrary::AveragePoolBackward);
  }
  absl::Status Norm(const NormCall& call) override { return Do(call, &ReferenceLibrary::Norm); }
  absl::Status NormInference(const NormInferenceCall& call) override {
    return Do(call, &ReferenceLibrary::NormInference);
  }
  absl::Status NormParamGradient(const NormParamGradientCall& call) override {
    return Do(call, &ReferenceLibrary::NormParamGradient);
  }
  absl::Status NormInputGradient(const NormInputGradientCall& call) override {
    return Do(call, &ReferenceLibrary::NormInputGradient);
  }
  absl::Status Embedding(const EmbeddingCall& call) override { return Do(call, &ReferenceLibrary::Embedding); }
  absl::Status EmbeddingGradient(const EmbeddingGradientCall& call) override {
    return Do(call, &ReferenceLibrary::EmbeddingGradient);
  }
  absl::Status Attention(const AttentionCall& call) override { return Do(call, &ReferenceLibrary::Attention); }
  absl::Status AttentionBackward(const AttentionBackwardCall& call) override {
    return Do(call, &ReferenceLibrary::AttentionBackward);
  }
  absl::Status Encode(const EncodeCall& call) override {
    if (options_.encoding) options_.encoding(call);
    return Do(call, Operation([this, call] { return operations_.Encode(call); }));
  }
  int64_t convolution_scratch_floats(const ConvShape& largest, int64_t out_channels) const override {
    return operations_.convolution_scratch_floats(largest, out_channels);
  }
  absl::Status FillZero(float* data, int64_t count) override;
  absl::Status CopyFloats(const float* from, float* to, int64_t count) override;
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
  absl::Status RunSegment(absl::FunctionRef<absl::Status()> calls) override;
  SegmentCounts segment_counts() const override { return counts_; }
  absl::Status Finish() override { return absl::OkStatus(); }

 private:
  class Point;
  struct Waiting {
    SideCopy copy;
    bool fails = false;
  };

  using Operation = std::function<absl::Status()>;

  // Makes an operation, or notes or keeps it for the segment under way.
  template <typename Call>
  absl::Status Do(const Call& call, absl::Status (ReferenceLibrary::*operation)(const Call&)) {
    if (absl::Status status = CheckCall(call); !status.ok()) return status;
    return Do(call, Operation([this, call, operation] { return (operations_.*operation)(call); }));
  }
  template <typename Call>
  absl::Status Do(const Call& call, Operation operation) {
    if (noted_ != nullptr) {
      noted_->Add(call);
      return absl::OkStatus();
    }
    if (kept_ == nullptr) return operation();
    kept_->push_back(std::move(operation));
    return absl::OkStatus();
  }

  void Start(const SideCopy& copy, bool fails);
  // Lets the copies up to `copy` come.
  absl::Status Complete(int64_t copy);

  const LateDeviceOptions options_;
  ReferenceLibrary operations_;
  std::deque<Waiting> waiting_;  // the copies under way, the oldest first
  int64_t started_ = 0;
  int64_t fetches_ = 0;

  CallDigest* noted_ = nullptr;               // of the segment under way, while its calls are noted
  std::vector<Operation>* kept_ = nullptr;    // likewise, while they are kept
  SegmentTable<std::vector<Operation>> segments_;
  SegmentCounts counts_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_SUPPORT_LATE_DEVICE_H_
