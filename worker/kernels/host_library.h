#ifndef RINGMASTER_WORKER_KERNELS_HOST_LIBRARY_H_
#define RINGMASTER_WORKER_KERNELS_HOST_LIBRARY_H_

#include <memory>

#include "absl/functional/function_ref.h"
#include "worker/kernels/kernel_library.h"

namespace ringmaster {

// What libraries that compute in host memory have in common: its allocation and plain copies. Every call is done when
// it returns, so Finish has nothing to wait for.
class HostLibrary : public KernelLibrary {
 public:
  Place place() const override { return Place::kHost; }
  absl::StatusOr<Buffer> Allocate(int64_t size_bytes) override;
  absl::StatusOr<Buffer> AllocateStaging(int64_t size_bytes) override;
  absl::Status FillZero(float* data, int64_t count) override;
  absl::Status CopyFloats(const float* from, float* to, int64_t count) override;
  absl::Status Encode(const EncodeCall& call) override;
  absl::Status CopyToHost(const void* from, void* to, int64_t size_bytes) override;
  absl::Status CopyFromHost(const void* from, void* to, int64_t size_bytes) override;
  absl::Status StartCopyToHost(const SideCopy& copy) override;
  absl::Status StartCopyFromHost(const SideCopy& copy) override;
  absl::StatusOr<std::unique_ptr<WorkPoint>> CreatePoint() override;
  absl::Status Mark(WorkPoint& point) override;
  absl::Status OrderAfter(WorkPoint& point) override;
  absl::Status RunSegment(absl::FunctionRef<absl::Status()> calls) override { return calls(); }
  SegmentCounts segment_counts() const override { return {}; }
  absl::Status Finish() override;
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_KERNELS_HOST_LIBRARY_H_
