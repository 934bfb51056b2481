#include "tests/support/late_device.h"

#include <cstdlib>
#include <cstring>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace ringmaster {
namespace {

constexpr int kNanByte = 0xff;

absl::StatusOr<Buffer> AllocateIn(Place place, int64_t size_bytes) {
  RM_ASSIGN_OR_RETURN(Buffer host, Buffer::AllocateHost(size_bytes));
  std::byte* data = host.data();
  auto owner = std::make_shared<Buffer>(std::move(host));
  return Buffer(data, size_bytes, place, [owner](std::byte*) mutable { owner.reset(); });
}

}  // namespace

class LateDevice::Point : public WorkPoint {
 public:
  explicit Point(LateDevice& device) : device_(device) {}

  absl::StatusOr<bool> IsReached() override {
    if (copy_ < device_.started_ - static_cast<int64_t>(device_.waiting_.size())) return true;
    const std::optional<int64_t>& lag = device_.options_.lag;
    if (!lag.has_value() || device_.started_ - 1 - copy_ < *lag) return false;
    RM_RETURN_IF_ERROR(device_.Complete(copy_));
    return true;
  }

  absl::Status Await() override { return device_.Complete(copy_); }

  // The last copy that it is behind; -1: none.
  void Set(int64_t copy) { copy_ = copy; }

 private:
  LateDevice& device_;
  int64_t copy_ = -1;
};

absl::StatusOr<Buffer> LateDevice::Allocate(int64_t size_bytes) {
  return AllocateIn(Place::kDevice, size_bytes);
}

absl::StatusOr<Buffer> LateDevice::AllocateStaging(int64_t size_bytes) {
  return AllocateIn(Place::kHostPinned, size_bytes);
}

absl::Status LateDevice::Make(const Operation& operation) {
  const auto* encode = std::get_if<EncodeCall>(&operation);
  if (encode != nullptr && options_.encoding) options_.encoding(*encode);
  return operations_.Run(operation);
}

absl::Status LateDevice::MakeSegment(absl::Span<const Operation> operations) {
  const uint64_t digest = DigestOf(operations);
  const Operations* kept = segments_.Find(digest);
  if (kept != nullptr) {
    ++counts_.replayed;
  } else if (segments_.IsWorthKeeping(digest)) {
    kept = &segments_.Keep(digest, Operations(operations.begin(), operations.end()));
    ++counts_.kept;
  } else {
    ++counts_.run;
  }
  return operations_.RunSegment(kept != nullptr ? *kept : operations);
}

absl::StatusOr<std::unique_ptr<WorkPoint>> LateDevice::CreatePoint() {
  return std::make_unique<Point>(*this);
}

// Operations are done when their calls return.
absl::Status LateDevice::Mark(WorkPoint& point) {
  static_cast<Point&>(point).Set(-1);
  return absl::OkStatus();
}

absl::Status LateDevice::OrderAfter(WorkPoint& point) { return point.Await(); }

absl::Status LateDevice::StartCopyToHost(const SideCopy& copy) {
  const int64_t fetch = fetches_++;
  if (options_.fetch_started) options_.fetch_started(fetch);
  Start(copy, fetch == options_.failing_fetch);
  return absl::OkStatus();
}

absl::Status LateDevice::StartCopyFromHost(const SideCopy& copy) {
  if (options_.upload_started) options_.upload_started(copy.size_bytes);
  Start(copy, false);
  return absl::OkStatus();
}

void LateDevice::Start(const SideCopy& copy, bool fails) {
  static_cast<Point&>(*copy.begin).Set(-1);
  static_cast<Point&>(*copy.end).Set(started_++);
  std::memset(copy.to, kNanByte, static_cast<size_t>(copy.size_bytes));
  waiting_.push_back({copy, fails});
}

absl::Status LateDevice::Complete(int64_t copy) {
  while (!waiting_.empty() && started_ - static_cast<int64_t>(waiting_.size()) <= copy) {
    const Waiting oldest = waiting_.front();
    waiting_.pop_front();
    if (oldest.fails)
      return absl::InternalError(
          absl::StrCat("a copy of ", oldest.copy.size_bytes, " bytes is lost"));
    std::memcpy(oldest.copy.to, oldest.copy.from, static_cast<size_t>(oldest.copy.size_bytes));
  }
  return absl::OkStatus();
}

}  // namespace ringmaster
