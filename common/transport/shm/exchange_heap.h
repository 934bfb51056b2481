#ifndef RINGMASTER_COMMON_TRANSPORT_SHM_EXCHANGE_HEAP_H_
#define RINGMASTER_COMMON_TRANSPORT_SHM_EXCHANGE_HEAP_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "common/tensor/tensor.h"
#include "common/transport/shm/segment.h"

namespace ringmaster {

// The exchange memory of a process: one large segment, of which buffers are cut at start. Peers map it whole, once, to read
// what is sent and to write what is lent. Shared with its buffers, which may outlive the fabric: the last of them ends it. Thread-safe.
class ExchangeHeap : public std::enable_shared_from_this<ExchangeHeap> {
 public:
  // Address space for as much memory as this machine has; pages only come with buffers. Errors as Segment::Create.
  static absl::StatusOr<std::shared_ptr<ExchangeHeap>> Create();

  // A buffer of whole pages, aligned to one, all zero. ResourceExhausted: no address space or no memory left.
  absl::StatusOr<Buffer> Allocate(int64_t size_bytes);

  // Whether `bytes`, not empty, lie here; then offset() is their place.
  bool Contains(absl::Span<const std::byte> bytes) const {
    const auto begin = reinterpret_cast<uintptr_t>(bytes.data()) - reinterpret_cast<uintptr_t>(segment_.data());
    const auto size = static_cast<uintptr_t>(segment_.size_bytes());
    return begin < size && bytes.size() <= size - begin;
  }
  int64_t offset(absl::Span<const std::byte> bytes) const { return bytes.data() - segment_.data(); }

  const Segment& segment() const { return segment_; }

 private:
  explicit ExchangeHeap(Segment segment);
  void Free(int64_t offset, int64_t size_bytes);

  Segment segment_;
  absl::Mutex mutex_;
  std::map<int64_t, int64_t> free_ ABSL_GUARDED_BY(mutex_);  // size by offset; neighbours are joined
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_SHM_EXCHANGE_HEAP_H_
