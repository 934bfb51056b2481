#include "common/transport/shm/exchange_heap.h"

#include <algorithm>
#include <vector>

#include "common/base/random.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

std::shared_ptr<ExchangeHeap> NewHeap() {
  absl::StatusOr<std::shared_ptr<ExchangeHeap>> heap = ExchangeHeap::Create();
  EXPECT_TRUE(heap.ok()) << heap.status();
  return *std::move(heap);
}

absl::Span<const std::byte> BytesOf(const Buffer& buffer) {
  return {buffer.data(), static_cast<size_t>(buffer.size_bytes())};
}

TEST(ExchangeHeap, BuffersOutliveTheHeapsOwnerAndDoNotOverlap) {
  std::shared_ptr<ExchangeHeap> heap = NewHeap();
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
  std::sort(buffers.begin(), buffers.end(), [](const Buffer& a, const Buffer& b) { return a.data() < b.data(); });
  for (size_t i = 1; i < buffers.size(); ++i) {
    ASSERT_LE(buffers[i - 1].data() + buffers[i - 1].size_bytes(), buffers[i].data());
  }
  heap.reset();
  std::fill_n(buffers[0].data(), buffers[0].size_bytes(), std::byte{2});
}

TEST(ExchangeHeap, FreedNeighboursJoinInWhateverOrderTheyAreFreed) {
  const std::shared_ptr<ExchangeHeap> heap = NewHeap();
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
  const absl::Status too_large = heap->Allocate(heap->segment().size_bytes() + 1).status();
  EXPECT_EQ(too_large.code(), absl::StatusCode::kResourceExhausted) << too_large;
}

TEST(ExchangeHeap, ContainsWhatLiesWhollyInside) {
  const std::shared_ptr<ExchangeHeap> heap = NewHeap();
  const Buffer buffer = *heap->Allocate(1000);
  const Buffer other = *Buffer::AllocateHost(1000);
  EXPECT_TRUE(heap->Contains(BytesOf(buffer)));
  EXPECT_EQ(heap->offset(BytesOf(buffer).subspan(7)), heap->offset(BytesOf(buffer)) + 7);
  EXPECT_FALSE(heap->Contains(BytesOf(other)));
  const std::byte* const end = heap->segment().data() + heap->segment().size_bytes();
  EXPECT_TRUE(heap->Contains({end - 8, 8}));
  EXPECT_FALSE(heap->Contains({end - 8, 9}));
  EXPECT_FALSE(heap->Contains({end, 1}));
  EXPECT_FALSE(heap->Contains({heap->segment().data() - 1, 2}));
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
