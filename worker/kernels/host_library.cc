#include "worker/kernels/host_library.h"

#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace ringmaster {
namespace {

absl::Status CheckSize(absl::string_view operation, int64_t size) {
  if (size >= 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(operation, " of ", size, ": the size must not be negative"));
}

// The host is always where its work is.
class ReachedPoint : public WorkPoint {
 public:
  absl::StatusOr<bool> IsReached() override { return true; }
  absl::Status Await() override { return absl::OkStatus(); }
};

absl::Status Copy(const void* from, void* to, int64_t size_bytes) {
  if (absl::Status status = CheckSize("copy", size_bytes); !status.ok()) return status;
  if (size_bytes > 0) std::memcpy(to, from, static_cast<size_t>(size_bytes));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Buffer> HostLibrary::Allocate(int64_t size_bytes) {
  if (absl::Status status = CheckSize("allocation", size_bytes); !status.ok()) return status;
  return Buffer::AllocateHost(size_bytes);
}

absl::StatusOr<Buffer> HostLibrary::AllocateStaging(int64_t size_bytes) {
  return Allocate(size_bytes);
}

absl::Status HostLibrary::CopyToHost(const void* from, void* to, int64_t size_bytes) {
  return Copy(from, to, size_bytes);
}

absl::Status HostLibrary::CopyFromHost(const void* from, void* to, int64_t size_bytes) {
  return Copy(from, to, size_bytes);
}

absl::Status HostLibrary::StartCopyToHost(const SideCopy& copy) {
  return Copy(copy.from, copy.to, copy.size_bytes);
}

absl::Status HostLibrary::StartCopyFromHost(const SideCopy& copy) {
  return Copy(copy.from, copy.to, copy.size_bytes);
}

absl::StatusOr<std::unique_ptr<WorkPoint>> HostLibrary::CreatePoint() {
  return std::make_unique<ReachedPoint>();
}

absl::Status HostLibrary::Mark(WorkPoint& point) { return absl::OkStatus(); }

absl::Status HostLibrary::OrderAfter(WorkPoint& point) { return absl::OkStatus(); }

absl::Status HostLibrary::MakeSegment(absl::Span<const Operation> operations) {
  for (const Operation& operation : operations) RM_RETURN_IF_ERROR(Make(operation));
  return absl::OkStatus();
}

absl::Status HostLibrary::Finish() { return absl::OkStatus(); }

}  // namespace ringmaster
