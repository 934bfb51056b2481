#include "common/transport/shm/exchange_heap.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/partition.h"
#include "common/base/status_macros.h"

namespace ringmaster {
namespace {

// Of address space: a large page of the system.
constexpr int64_t kSegmentStep = 2 << 20;

int64_t RoundUp(int64_t bytes, int64_t step) { return CeilDiv(bytes, step) * step; }

int32_t SegmentOf(uint64_t place) { return static_cast<int32_t>(place >> kPlaceOffsetBits); }
int64_t OffsetOf(uint64_t place) {
  return static_cast<int64_t>(place - PlaceOf(SegmentOf(place), 0));
}

}  // namespace

std::shared_ptr<ExchangeHeap> ExchangeHeap::Create(absl::Span<ExchangeEntry> table) {
  RM_CHECK(table.size() == kExchangeSegments);
  return std::shared_ptr<ExchangeHeap>(new ExchangeHeap(table));
}

absl::StatusOr<Buffer> ExchangeHeap::Allocate(int64_t size_bytes) {
  RM_CHECK(size_bytes >= 0);
  const int64_t taken_bytes = RoundUp(std::max<int64_t>(size_bytes, 1), kPageBytes);
  RM_ASSIGN_OR_RETURN(const uint64_t place, Take(taken_bytes));
  Segment& segment = segments_[SegmentOf(place)];
  const absl::Status reserved = segment.Reserve(OffsetOf(place), taken_bytes);
  if (!reserved.ok()) {
    Free(place, taken_bytes);
    return reserved;
  }
  // The buffer may outlive the fabric, so it holds on to the heap.
  return Buffer(segment.data() + OffsetOf(place), size_bytes, Place::kHost,
                [heap = shared_from_this(), place, taken_bytes](std::byte*) {
                  heap->Free(place, taken_bytes);
                });
}

absl::StatusOr<uint64_t> ExchangeHeap::Take(int64_t size_bytes) {
  absl::MutexLock lock(&mutex_);
  const auto find = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return std::find_if(free_.begin(), free_.end(),
                        [&](const auto& range) { return range.second >= size_bytes; });
  };
  auto fits = find();
  if (fits == free_.end()) {
    RM_RETURN_IF_ERROR(Grow(size_bytes));
    fits = find();
  }
  const auto [place, free_bytes] = *fits;
  free_.erase(fits);
  if (free_bytes > size_bytes) free_[place + size_bytes] = free_bytes - size_bytes;
  return place;
}

absl::Status ExchangeHeap::Grow(int64_t size_bytes) {
  const int32_t index = segment_count();
  if (index == kExchangeSegments) {
    return absl::ResourceExhaustedError(
        absl::StrCat("no room for a buffer of ", size_bytes, " bytes in ", mapped_bytes(),
                     " bytes of exchange memory, whose ", index, " segments are all taken"));
  }
  const int64_t generous_bytes = RoundUp(std::max(size_bytes, mapped_bytes() / 4), kSegmentStep);
  absl::StatusOr<Segment> segment = Segment::Create("ringmaster-exchange", generous_bytes);
  // Where address space is limited, what is needed and no more.
  if (!segment.ok() && generous_bytes > size_bytes)
    segment = Segment::Create("ringmaster-exchange", size_bytes);
  if (!segment.ok()) return segment.status();
  const Segment::Name name = segment->name();
  table_[index] = {name.size_bytes, name.inode, name.fd, 0};
  free_[PlaceOf(index, 0)] = segment->size_bytes();
  segments_[index] = *std::move(segment);
  segment_count_.store(index + 1, std::memory_order_release);
  return absl::OkStatus();
}

std::optional<uint64_t> ExchangeHeap::PlaceFor(absl::Span<const std::byte> bytes) const {
  const int32_t count = segment_count();
  for (int32_t index = 0; index < count; ++index) {
    const Segment& segment = segments_[index];
    const auto begin =
        reinterpret_cast<uintptr_t>(bytes.data()) - reinterpret_cast<uintptr_t>(segment.data());
    const auto size = static_cast<uintptr_t>(segment.size_bytes());
    if (begin >= size) continue;
    if (bytes.size() > size - begin) return std::nullopt;
    return PlaceOf(index, static_cast<int64_t>(begin));
  }
  return std::nullopt;
}

int64_t ExchangeHeap::mapped_bytes() const {
  int64_t bytes = 0;
  for (int32_t index = 0; index < segment_count(); ++index) bytes += segments_[index].size_bytes();
  return bytes;
}

void ExchangeHeap::Free(uint64_t place, int64_t size_bytes) {
  segments_[SegmentOf(place)].Release(OffsetOf(place), size_bytes);
  absl::MutexLock lock(&mutex_);
  auto freed = free_.emplace(place, size_bytes).first;
  const auto next = std::next(freed);
  // Segments do not join: none is so large that it ends where another's places begin.
  if (next != free_.end() && freed->first + freed->second == next->first) {
    freed->second += next->second;
    free_.erase(next);
  }
  if (freed == free_.begin()) return;
  const auto before = std::prev(freed);
  if (before->first + before->second != freed->first) return;
  before->second += freed->second;
  free_.erase(freed);
}

}  // namespace ringmaster
