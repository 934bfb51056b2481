#ifndef RINGMASTER_WORKER_KERNELS_KERNEL_LIBRARY_H_
#define RINGMASTER_WORKER_KERNELS_KERNEL_LIBRARY_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/tensor/tensor.h"
#include "worker/kernels/calls.h"

namespace ringmaster {

// A point in the work of one kernel library, which the host and later work can wait for. Reached until it is first set.
// Used where the library is: by one thread at a time.
class WorkPoint {
 public:
  virtual ~WorkPoint() = default;
  // Whether all that it was set behind is done. Does not wait.
  virtual absl::StatusOr<bool> IsReached() = 0;
  // Sleeps until it is reached. Returns what has failed on the device until then.
  virtual absl::Status Await() = 0;
};

// A copy that goes on while later operations run. All of it stays the caller's until `end` is reached; then the
// points may be set anew.
struct SideCopy {
  const void* from = nullptr;
  void* to = nullptr;
  int64_t size_bytes = 0;
  WorkPoint* begin = nullptr;  // set behind all operations called so far, which the copy waits for
  WorkPoint* end = nullptr;    // set behind the copy
};

// How often RunSegment has run calls as they are, has kept them while it did, and has replayed what it kept.
struct SegmentCounts {
  int64_t run = 0, kept = 0, replayed = 0;
  std::string refusal;  // why nothing is kept any more; empty: nothing is wrong
};

// The operations of forward and backward, on one device. `reference` is naive and the oracle of the others; `cpu` uses
// a BLAS and SIMD; `cublas` CUDA kernels and cuBLAS. One thread at a time. Same inputs, same bits, on one machine.
// Every operation answers InvalidArgument with its sizes for a call that makes no sense (negative sizes, rows shorter
// than their contents), and has then written nothing. Memory of one call does not overlap, unless it is named in
// place.
class KernelLibrary {
 public:
  virtual ~KernelLibrary() = default;
  virtual absl::string_view name() const = 0;
  virtual Place place() const = 0;
  // What the operations run on, as far as it decides their bits ("onednn 2.6.3 avx512_core_bf16", "sm_90 NVIDIA
  // H200"): all ranks of a run agree on it.
  virtual std::string target() const = 0;
  // Scratch of this size is still worked on at full speed (it stays in a core's own cache): layers cut their column
  // blocks to it.
  virtual int64_t fast_scratch_bytes() const { return int64_t{1} << 20; }

  // Memory in place(), and host memory from which copies to the device are fast; not initialized.
  virtual absl::StatusOr<Buffer> Allocate(int64_t size_bytes) = 0;
  virtual absl::StatusOr<Buffer> AllocateStaging(int64_t size_bytes) = 0;

  virtual absl::Status Gemm(const GemmCall& call) = 0;
  virtual absl::Status AddBias(const BiasCall& call) = 0;
  virtual absl::Status BiasGradient(const BiasGradientCall& call) = 0;
  virtual absl::Status ReluBackward(const ReluBackwardCall& call) = 0;
  virtual absl::Status Im2Col(const Im2ColCall& call) = 0;
  virtual absl::Status Col2Im(const Col2ImCall& call) = 0;
  virtual absl::Status Convolution(const ConvolutionCall& call) = 0;
  virtual absl::Status ConvolutionWeightGradient(const ConvolutionWeightGradientCall& call) = 0;
  virtual absl::Status ConvolutionInputGradient(const ConvolutionInputGradientCall& call) = 0;
  // Floats of scratch that the three take.
  virtual int64_t convolution_scratch_floats(const ConvShape& largest, int64_t out_channels) const = 0;
  virtual absl::Status MaxPool(const MaxPoolCall& call) = 0;
  virtual absl::Status MaxPoolBackward(const MaxPoolBackwardCall& call) = 0;
  virtual absl::Status SwapAxes(const SwapAxesCall& call) = 0;
  virtual absl::Status SoftmaxCrossEntropy(const SoftmaxCrossEntropyCall& call) = 0;
  virtual absl::Status FillZero(float* data, int64_t count) = 0;
  virtual absl::Status Relu(const ReluCall& call) = 0;
  virtual absl::Status Add(const AddCall& call) = 0;
  virtual absl::Status Gelu(const GeluCall& call) = 0;
  virtual absl::Status GeluBackward(const GeluBackwardCall& call) = 0;
  virtual absl::Status Dropout(const DropoutCall& call) = 0;
  virtual absl::Status AveragePool(const AveragePoolCall& call) = 0;
  virtual absl::Status AveragePoolBackward(const AveragePoolBackwardCall& call) = 0;
  virtual absl::Status Norm(const NormCall& call) = 0;
  virtual absl::Status NormInference(const NormInferenceCall& call) = 0;
  virtual absl::Status NormParamGradient(const NormParamGradientCall& call) = 0;
  virtual absl::Status NormInputGradient(const NormInputGradientCall& call) = 0;
  virtual absl::Status Embedding(const EmbeddingCall& call) = 0;
  virtual absl::Status EmbeddingGradient(const EmbeddingGradientCall& call) = 0;
  virtual absl::Status Attention(const AttentionCall& call) = 0;
  virtual absl::Status AttentionBackward(const AttentionBackwardCall& call) = 0;
  // Floats of scratch that AttentionBackward takes.
  virtual int64_t attention_scratch_floats(const AttentionShape& shape) const {
    return shape.batch * shape.heads * shape.context * shape.context;
  }
  virtual absl::Status Encode(const EncodeCall& call) = 0;
  // Bytes of scratch that Encode takes.
  virtual int64_t encode_scratch_bytes(EncodeKind kind, int64_t count) const { return 0; }
  // to[i] = from[i], both in the library's place.
  virtual absl::Status CopyFloats(const float* from, float* to, int64_t count) = 0;

  // Asynchronous on the stream; the host side must stay until Finish. On a host library plain copies.
  virtual absl::Status CopyToHost(const void* from, void* to, int64_t size_bytes) = 0;
  virtual absl::Status CopyFromHost(const void* from, void* to, int64_t size_bytes) = 0;

  // Copies beside the operations, one after the other as they are started; fast from and to memory of
  // AllocateStaging. Later operations do not wait for them: see OrderAfter. On a host library plain copies, and every
  // point is reached.
  virtual absl::Status StartCopyToHost(const SideCopy& copy) = 0;
  virtual absl::Status StartCopyFromHost(const SideCopy& copy) = 0;
  // A point of this library, which it may not outlive. For start-up: it allocates.
  virtual absl::StatusOr<std::unique_ptr<WorkPoint>> CreatePoint() = 0;
  // Sets `point` behind all operations called so far.
  virtual absl::Status Mark(WorkPoint& point) = 0;
  // Operations called from now on begin when `point` is reached. The host does not wait.
  virtual absl::Status OrderAfter(WorkPoint& point) = 0;

  // Makes the operations that `calls` calls for, and no others. A device may ask for them more than once without
  // making them, and may make them from what it has kept of the same calls before: `calls` calls for operations alone
  // (no copies to or from the host, no points, no Finish, no other segment), and changes nothing else. The bits are
  // the same either way.
  virtual absl::Status RunSegment(absl::FunctionRef<absl::Status()> calls) = 0;
  virtual SegmentCounts segment_counts() const = 0;

  // Waits for all operations called so far and reports deferred errors.
  virtual absl::Status Finish() = 0;
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_KERNELS_KERNEL_LIBRARY_H_
