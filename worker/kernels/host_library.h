#ifndef RINGMASTER_WORKER_KERNELS_HOST_LIBRARY_H_
#define RINGMASTER_WORKER_KERNELS_HOST_LIBRARY_H_

#include <memory>
#include <type_traits>

#include "absl/types/span.h"
#include "worker/kernels/kernel_library.h"

namespace ringmaster {

// What libraries that compute in host memory have in common: its allocation and plain copies. Every
// call is done when it returns, so Finish has nothing to wait for.
class HostLibrary : public KernelLibrary {
 public:
  Place place() const override { return Place::kHost; }
  absl::StatusOr<Buffer> Allocate(int64_t size_bytes) override;
  absl::StatusOr<Buffer> AllocateStaging(int64_t size_bytes) override;
  absl::Status CopyToHost(const void* from, void* to, int64_t size_bytes) override;
  absl::Status CopyFromHost(const void* from, void* to, int64_t size_bytes) override;
  absl::Status StartCopyToHost(const SideCopy& copy) override;
  absl::Status StartCopyFromHost(const SideCopy& copy) override;
  absl::StatusOr<std::unique_ptr<WorkPoint>> CreatePoint() override;
  absl::Status Mark(WorkPoint& point) override;
  absl::Status OrderAfter(WorkPoint& point) override;
  SegmentCounts segment_counts() const override { return {}; }
  absl::Status Finish() override;

 protected:
  // Operations of segments are made one by one.
  absl::Status MakeSegment(absl::Span<const Operation> operations) override;

  // The status of `compute`, which returns one or nothing: an operation that cannot fail is OK.
  template <typename Function>
  static absl::Status StatusOf(Function compute) {
    if constexpr (std::is_void_v<decltype(compute())>) {
      compute();
      return absl::OkStatus();
    } else {
      return compute();
    }
  }
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_KERNELS_HOST_LIBRARY_H_
