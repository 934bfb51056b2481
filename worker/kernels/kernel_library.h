#ifndef RINGMASTER_WORKER_KERNELS_KERNEL_LIBRARY_H_
#define RINGMASTER_WORKER_KERNELS_KERNEL_LIBRARY_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/tensor/tensor.h"
#include "worker/kernels/calls.h"

namespace ringmaster {

// A point in the work of one kernel library, which the host and later work can wait for. Reached
// until it is first set. Used where the library is: by one thread at a time.
class WorkPoint {
 public:
  virtual ~WorkPoint() = default;
  // Whether all that it was set behind is done. Does not wait.
  virtual absl::StatusOr<bool> IsReached() = 0;
  // Sleeps until it is reached. Returns what has failed on the device until then.
  virtual absl::Status Await() = 0;
};

// A copy that goes on while later operations run. All of it stays the caller's until `end` is
// reached; then the points may be set anew.
struct SideCopy {
  const void* from = nullptr;
  void* to = nullptr;
  int64_t size_bytes = 0;
  WorkPoint* begin = nullptr;  // set behind all operations called so far, which the copy waits for
  WorkPoint* end = nullptr;    // set behind the copy
};

// How often RunSegment has made operations one by one, has kept them while it did, and has replayed
// what it kept.
struct SegmentCounts {
  int64_t run = 0, kept = 0, replayed = 0;
  std::string refusal;  // why nothing is kept any more; empty: nothing is wrong
};

// The operations of forward and backward, on one device. `reference` is naive and the oracle of the
// others; `cpu` uses a BLAS and SIMD; `cublas` CUDA kernels and cuBLAS. One thread at a time. Same
// inputs, same bits, on one machine. Every operation answers InvalidArgument with its sizes for a
// call that makes no sense (negative sizes, rows shorter than their contents), and has then written
// nothing. Memory of one call does not overlap, unless it is named in place.
class KernelLibrary {
 public:
  virtual ~KernelLibrary() = default;
  virtual absl::string_view name() const = 0;
  virtual Place place() const = 0;
  // What the operations run on, as far as it decides their bits ("onednn 2.6.3 avx512_core_bf16",
  // "sm_90 NVIDIA H200"): all ranks of a run agree on it.
  virtual std::string target() const = 0;
  // Scratch of this size is still worked on at full speed (it stays in a core's own cache): layers
  // cut their column blocks to it.
  virtual int64_t fast_scratch_bytes() const { return int64_t{1} << 20; }

  // Memory in place(), and host memory from which copies to the device are fast; not initialized.
  virtual absl::StatusOr<Buffer> Allocate(int64_t size_bytes) = 0;
  virtual absl::StatusOr<Buffer> AllocateStaging(int64_t size_bytes) = 0;

  // Makes `operation`.
  absl::Status Run(const Operation& operation);
  // Makes `operations` in their order; none when one of them makes no sense. A device may replay
  // what it has kept of the same operations before: the bits are the same either way.
  absl::Status RunSegment(absl::Span<const Operation> operations);
  virtual SegmentCounts segment_counts() const = 0;

  // Floats of scratch that the three directions of a convolution take.
  virtual int64_t convolution_scratch_floats(const ConvShape& largest,
                                             int64_t out_channels) const = 0;
  // Floats of scratch that AttentionBackwardCall takes.
  virtual int64_t attention_scratch_floats(const AttentionShape& shape) const {
    return shape.batch * shape.heads * shape.context * shape.context;
  }
  // Bytes of scratch that EncodeCall takes.
  virtual int64_t encode_scratch_bytes(EncodeKind kind, int64_t count) const { return 0; }

  // Asynchronous on the stream; the host side must stay until Finish. On a host library plain
  // copies.
  virtual absl::Status CopyToHost(const void* from, void* to, int64_t size_bytes) = 0;
  virtual absl::Status CopyFromHost(const void* from, void* to, int64_t size_bytes) = 0;

  // Copies beside the operations, one after the other as they are started; fast from and to memory
  // of AllocateStaging. Later operations do not wait for them: see OrderAfter. On a host library
  // plain copies, and every point is reached.
  virtual absl::Status StartCopyToHost(const SideCopy& copy) = 0;
  virtual absl::Status StartCopyFromHost(const SideCopy& copy) = 0;
  // A point of this library, which it may not outlive. For start-up: it allocates.
  virtual absl::StatusOr<std::unique_ptr<WorkPoint>> CreatePoint() = 0;
  // Sets `point` behind all operations called so far.
  virtual absl::Status Mark(WorkPoint& point) = 0;
  // Operations called from now on begin when `point` is reached. The host does not wait.
  virtual absl::Status OrderAfter(WorkPoint& point) = 0;

  // Waits for all operations called so far and reports deferred errors.
  virtual absl::Status Finish() = 0;

 protected:
  // Run and RunSegment, for operations that have passed CheckCall.
  virtual absl::Status Make(const Operation& operation) = 0;
  virtual absl::Status MakeSegment(absl::Span<const Operation> operations) = 0;
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_KERNELS_KERNEL_LIBRARY_H_
