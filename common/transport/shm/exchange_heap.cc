#include "common/transport/shm/exchange_heap.h"

#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/partition.h"
#include "common/base/status_macros.h"

namespace ringmaster {
namespace {

constexpr int64_t kPage = 4096;

}  // namespace

absl::StatusOr<std::shared_ptr<ExchangeHeap>> ExchangeHeap::Create() {
  const int64_t memory_bytes = int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE);
  const int64_t size_bytes = CeilDiv(std::max(memory_bytes, kPage), kPage) * kPage;
  RM_ASSIGN_OR_RETURN(Segment segment, Segment::Create("ringmaster-exchange", size_bytes));
  return std::shared_ptr<ExchangeHeap>(new ExchangeHeap(std::move(segment)));
}

ExchangeHeap::ExchangeHeap(Segment segment) : segment_(std::move(segment)) { free_[0] = segment_.size_bytes(); }

absl::StatusOr<Buffer> ExchangeHeap::Allocate(int64_t size_bytes) {
  RM_CHECK(size_bytes >= 0);
  const int64_t taken_bytes = CeilDiv(std::max<int64_t>(size_bytes, 1), kPage) * kPage;
  int64_t offset = -1;
  {
    absl::MutexLock lock(&mutex_);
    const auto fits = std::find_if(free_.begin(), free_.end(),
                                   [taken_bytes](const auto& range) { return range.second >= taken_bytes; });
    if (fits == free_.end()) {
      return absl::ResourceExhaustedError(absl::StrCat("no room for a buffer of ", size_bytes, " bytes in ",
                                                       segment_.size_bytes(), " bytes of exchange memory"));
    }
    offset = fits->first;
    const int64_t rest_bytes = fits->second - taken_bytes;
    free_.erase(fits);
    if (rest_bytes > 0) free_[offset + taken_bytes] = rest_bytes;
  }
  const absl::Status reserved = segment_.Reserve(offset, taken_bytes);
  if (!reserved.ok()) {
    Free(offset, taken_bytes);
    return reserved;
  }
  // The buffer may outlive the fabric, so it holds on to the heap.
  return Buffer(segment_.data() + offset, size_bytes, Place::kHost,
                [heap = shared_from_this(), offset, taken_bytes](std::byte*) { heap->Free(offset, taken_bytes); });
}

void ExchangeHeap::Free(int64_t offset, int64_t size_bytes) {
  segment_.Release(offset, size_bytes);
  absl::MutexLock lock(&mutex_);
  auto place = free_.emplace(offset, size_bytes).first;
  const auto next = std::next(place);
  if (next != free_.end() && place->first + place->second == next->first) {
    place->second += next->second;
    free_.erase(next);
  }
  if (place == free_.begin()) return;
  const auto before = std::prev(place);
  if (before->first + before->second != place->first) return;
  before->second += place->second;
  free_.erase(place);
}

}  // namespace ringmaster
