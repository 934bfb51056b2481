#ifndef RINGMASTER_COMMON_TRANSPORT_SHM_EXCHANGE_HEAP_H_
#define RINGMASTER_COMMON_TRANSPORT_SHM_EXCHANGE_HEAP_H_

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "common/tensor/tensor.h"
#include "common/transport/shm/layout.h"
#include "common/transport/shm/segment.h"

namespace ringmaster {

// The exchange memory of a process: segments, of which buffers are cut at start. A new segment
// comes when a buffer finds no room, so address space and pages follow what the run needs. Peers
// map a segment when its first message reaches them, to read what is sent and to write what is
// lent. Shared with its buffers, which may outlive the fabric: the last of them ends it.
// Thread-safe.
class ExchangeHeap : public std::enable_shared_from_this<ExchangeHeap> {
 public:
  // `table`, all zero, is the one in this process's control block. Segments are entered there, by
  // Allocate alone: the table has to outlive the last call of that.
  static std::shared_ptr<ExchangeHeap> Create(absl::Span<ExchangeEntry> table);

  // A buffer of whole pages, aligned to one, all zero. ResourceExhausted: no address space, no
  // memory, or no descriptor left; nothing is taken then.
  absl::StatusOr<Buffer> Allocate(int64_t size_bytes);

  // The place of `bytes`, not empty, for a descriptor; none where they do not lie wholly in a
  // segment.
  std::optional<uint64_t> PlaceFor(absl::Span<const std::byte> bytes) const;

  int32_t segment_count() const { return segment_count_.load(std::memory_order_acquire); }
  // Of all segments, mapped here; pages are there for buffers alone.
  int64_t mapped_bytes() const;

 private:
  explicit ExchangeHeap(absl::Span<ExchangeEntry> table) : table_(table) {}
  // The place of `size_bytes`, whole pages, taken from free_.
  absl::StatusOr<uint64_t> Take(int64_t size_bytes);
  absl::Status Grow(int64_t size_bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Free(uint64_t place, int64_t size_bytes);

  const absl::Span<ExchangeEntry> table_;
  // Those below segment_count_ are constant: they are read without the mutex.
  Segment segments_[kExchangeSegments];
  std::atomic<int32_t> segment_count_{0};
  absl::Mutex mutex_;
  // size by place; neighbours are joined
  std::map<uint64_t, int64_t> free_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_SHM_EXCHANGE_HEAP_H_
