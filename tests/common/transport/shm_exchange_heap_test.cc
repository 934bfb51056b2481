#include "common/transport/shm/exchange_heap.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/random.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

struct Table {
  ExchangeEntry entries[kExchangeSegments] = {};
  absl::Span<ExchangeEntry> span() { return absl::MakeSpan(entries); }
};

absl::Span<const std::byte> BytesOf(const Buffer& buffer) {
  return {buffer.data(), static_cast<size_t>(buffer.size_bytes())};
}

TEST(ExchangeHeap, BuffersOutliveTheHeapsOwnerAndDoNotOverlap) {
  Table table;
  std::shared_ptr<ExchangeHeap> heap = ExchangeHeap::Create(table.span());
  Random random(3);
  std::vector<Buffer> buffers;
  for (int round = 0; round < 200; ++round) {
    if (buffers.size() > 20 || (buffers.size() > 1 && random.Below(3) == 0)) {
      buffers.erase(buffers.begin() + random.Below(buffers.size()));
    } else {
      absl::StatusOr<Buffer> buffer = heap->Allocate(random.Below(100'000));
      ASSERT_TRUE(buffer.ok()) << buffer.status();
      for (int64_t i = 0; i < buffer->size_bytes(); ++i) ASSERT_EQ(buffer->data()[i], std::byte{0});
      std::fill_n(buffer->data(), buffer->size_bytes(), std::byte{1});
      buffers.push_back(*std::move(buffer));
    }
  }
  std::sort(buffers.begin(), buffers.end(),
            [](const Buffer& a, const Buffer& b) { return a.data() < b.data(); });
  for (size_t i = 1; i < buffers.size(); ++i) {
    ASSERT_LE(buffers[i - 1].data() + buffers[i - 1].size_bytes(), buffers[i].data());
  }
  heap.reset();
  std::fill_n(buffers[0].data(), buffers[0].size_bytes(), std::byte{2});
}

TEST(ExchangeHeap, FreedNeighboursJoinInWhateverOrderTheyAreFreed) {
  Table table;
  const std::shared_ptr<ExchangeHeap> heap = ExchangeHeap::Create(table.span());
  std::vector<int> order = {0, 1, 2};
  do {
    std::vector<Buffer> pages;
    for (int i = 0; i < 3; ++i) pages.push_back(*heap->Allocate(4096));
    const Buffer behind = *heap->Allocate(4096);
    std::byte* const first = pages[0].data();
    for (const int i : order) Buffer freed = std::move(pages[i]);
    const Buffer all = *heap->Allocate(3 * 4096);
    EXPECT_EQ(all.data(), first);
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST(ExchangeHeap, FindsThePlaceOfWhatLiesWhollyInside) {
  Table table;
  const std::shared_ptr<ExchangeHeap> heap = ExchangeHeap::Create(table.span());
  const Buffer first = *heap->Allocate(1000);
  const int64_t size_bytes = heap->mapped_bytes();
  const Buffer second = *heap->Allocate(size_bytes);
  const Buffer other = *Buffer::AllocateHost(1000);
  EXPECT_EQ(heap->PlaceFor(BytesOf(first)), PlaceOf(0, 0));
  EXPECT_EQ(heap->PlaceFor(BytesOf(first).subspan(7)), PlaceOf(0, 7));
  EXPECT_EQ(heap->PlaceFor(BytesOf(second).subspan(9)), PlaceOf(1, 9));
  EXPECT_FALSE(heap->PlaceFor(BytesOf(other)).has_value());
  const std::byte* const end = first.data() + size_bytes;
  EXPECT_EQ(heap->PlaceFor({end - 8, 8}), PlaceOf(0, size_bytes - 8));
  EXPECT_FALSE(heap->PlaceFor({end - 8, 9}).has_value());
  EXPECT_FALSE(heap->PlaceFor({first.data() - 1, 2}).has_value());
}

TEST(ExchangeHeap, GrowsByWhatIsNeededAndEntersEverySegmentInItsTable) {
  Table table;
  const std::shared_ptr<ExchangeHeap> heap = ExchangeHeap::Create(table.span());
  EXPECT_EQ(heap->mapped_bytes(), 0);
  std::vector<Buffer> buffers;
  int64_t needed_bytes = 0;
  for (const int64_t size_bytes : {4096, 3 << 20, 40 << 20, 1 << 20, 40 << 20, 100 << 20}) {
    buffers.push_back(*heap->Allocate(size_bytes));
    needed_bytes += size_bytes;
    EXPECT_LE(heap->mapped_bytes(), needed_bytes + needed_bytes / 4 + (4 << 20));
  }
  // Pages are there for buffers alone.
  int64_t pages_bytes = 0;
  for (int32_t i = 0; i < kExchangeSegments; ++i) {
    if (i >= heap->segment_count()) {
      EXPECT_EQ(table.entries[i].size_bytes, 0);
      continue;
    }
    const ExchangeEntry& entry = table.entries[i];
    struct stat status {};
    ASSERT_EQ(fstat(entry.fd, &status), 0);
    EXPECT_EQ(status.st_ino, entry.inode);
    EXPECT_EQ(status.st_size, entry.size_bytes);
    pages_bytes += int64_t{status.st_blocks} * 512;
  }
  EXPECT_EQ(pages_bytes, needed_bytes);
  // What was freed is used again before anything grows.
  const int64_t mapped_bytes = heap->mapped_bytes();
  buffers[2] = Buffer();
  buffers[2] = *heap->Allocate(40 << 20);
  EXPECT_EQ(heap->mapped_bytes(), mapped_bytes);
}

TEST(ExchangeHeap, ManySmallBuffersNeedFewSegments) {
  Table table;
  const std::shared_ptr<ExchangeHeap> heap = ExchangeHeap::Create(table.span());
  std::vector<Buffer> buffers;
  for (int i = 0; i < 300; ++i) {
    absl::StatusOr<Buffer> buffer = heap->Allocate(1 << 20);
    ASSERT_TRUE(buffer.ok()) << buffer.status();
    buffers.push_back(*std::move(buffer));
  }
  EXPECT_LT(heap->segment_count(), kExchangeSegments / 2);
}

// Ends the process with 0 when the heap did what it should: a limit of address space is not to be
// undone.
void UseAHeapUnderALimitOfAddressSpace() {
  Table table;
  const std::shared_ptr<ExchangeHeap> heap = ExchangeHeap::Create(table.span());
  const Buffer first = *heap->Allocate(80 << 20);
  std::ifstream statm("/proc/self/statm");
  int64_t pages = 0;
  statm >> pages;
  const rlim_t limit = pages * sysconf(_SC_PAGESIZE) + (11 << 20);
  const rlimit address_space = {limit, limit};
  if (setrlimit(RLIMIT_AS, &address_space) != 0) std::exit(3);
  // A quarter of what is there would not fit any more.
  const absl::StatusOr<Buffer> fits = heap->Allocate(9 << 20);
  if (!fits.ok()) std::exit(4);
  const absl::Status too_large = heap->Allocate(9 << 20).status();
  std::cerr << too_large << std::endl;
  std::exit(absl::IsResourceExhausted(too_large) &&
                    absl::StrContains(too_large.message(),
                                      absl::StrCat(limit, " bytes of address space (ulimit -v")) &&
                    absl::StrContains(too_large.message(),
                                      absl::StrCat(9 << 20, " bytes of shared memory"))
                ? 0
                : 5);
}

TEST(ExchangeHeapDeathTest, NamesTheLimitOfAddressSpaceThatLeavesNoRoomAndTakesWhatFits) {
  EXPECT_EXIT(UseAHeapUnderALimitOfAddressSpace(), testing::ExitedWithCode(0), "");
}

TEST(Segment, OpensByNameOnlyWhatWasAnnounced) {
  absl::StatusOr<Segment> segment = Segment::Create("of this test", 1 << 16);
  ASSERT_TRUE(segment.ok()) << segment.status();
  segment->data()[5] = std::byte{42};
  absl::StatusOr<Segment> peer = Segment::Open(segment->name(), false);
  ASSERT_TRUE(peer.ok()) << peer.status();
  EXPECT_EQ(peer->data()[5], std::byte{42});
  Segment::Name wrong = segment->name();
  wrong.size_bytes *= 2;
  EXPECT_EQ(Segment::Open(wrong, false).status().code(), absl::StatusCode::kUnavailable);
  wrong = segment->name();
  ++wrong.inode;
  EXPECT_EQ(Segment::Open(wrong, false).status().code(), absl::StatusCode::kUnavailable);
  wrong = segment->name();
  wrong.fd = 0;
  EXPECT_EQ(Segment::Open(wrong, false).status().code(), absl::StatusCode::kUnavailable);
  const Segment::Name name = segment->name();
  segment->Seal();
  EXPECT_EQ(Segment::Open(name, true).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(peer->data()[5], std::byte{42});
}

}  // namespace
}  // namespace ringmaster
