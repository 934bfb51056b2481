// A link whose peer writes what no process of ours does: every counter it shares is forged in turn.
#include "common/base/monotonic.h"
#include "common/transport/shm/link.h"

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "common/base/random.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

constexpr NodeId kHere = {Role::kWorker, 0};
constexpr NodeId kPeer = {Role::kWorker, 1};
constexpr int64_t kPeerExchangeBytes = 1 << 20;

// A control block of two processes, all zero as shared memory is. On the heap, so that a sanitizer
// sees its ends.
class ControlBlock {
 public:
  ControlBlock()
      : memory_(static_cast<std::byte*>(std::aligned_alloc(kPageBytes, ControlBytes(2)))) {
    std::fill(memory_, memory_ + ControlBytes(2), std::byte{0});
  }
  ~ControlBlock() { std::free(memory_); }
  ControlHeader* header() { return reinterpret_cast<ControlHeader*>(memory_); }
  Lane* lane(int process) { return reinterpret_cast<Lane*>(memory_ + LaneOffset(process)); }

 private:
  std::byte* const memory_;
};

class LinkToForger : public testing::Test {
 protected:
  LinkToForger() : matcher_(kHere, 1 << 20) {
    heap_ = ExchangeHeap::Create(absl::MakeSpan(own_.header()->exchange));
    peer_heap_ = ExchangeHeap::Create(absl::MakeSpan(peer_.header()->exchange));
    peer_buffer_ = *peer_heap_->Allocate(kPeerExchangeBytes);
    Link::Ends ends;
    ends.own = own_.header();
    ends.out = out_ = own_.lane(1);
    ends.peer = peer_.header();
    ends.in = in_ = peer_.lane(0);
    ends.exchange = heap_.get();
    ends.peer_pid = getpid();
    link_ =
        std::make_unique<Link>(ends, [this](NodeId from, NodeId to) -> absl::StatusOr<Matcher*> {
          if (from == kPeer && to == kHere) return &matcher_;
          return absl::InvalidArgumentError("strangers");
        });
  }

  absl::Status Send(absl::Span<const std::byte> payload, bool lent = false) {
    const Tag tag = {MessageKind::kTest, 0, 0, next_step_++};
    last_ = *matcher_.AddSend(kPeer, tag, lent ? &returned_ : nullptr);
    return link_->Send({kHere, kPeer, tag, payload, &matcher_, last_, lent});
  }
  bool LastIsDone() { return matcher_.WaitAny({last_}, MonotonicTime::InfinitePast()).ok(); }

  // As the peer's own link would publish it.
  void Publish(uint64_t position, const FrameHeader& header, PayloadPlace place,
               uint32_t slot = 0) {
    Descriptor& descriptor = in_->ring[position % kRingSlots];
    WriteDescriptor(header, place, 0, slot, &descriptor);
    descriptor.sequence.store(static_cast<uint32_t>(position + 1));
  }

  ControlBlock own_, peer_;
  Lane* out_ = nullptr;
  Lane* in_ = nullptr;
  Matcher matcher_;
  std::shared_ptr<ExchangeHeap> heap_;
  std::shared_ptr<ExchangeHeap> peer_heap_;
  Buffer peer_buffer_;
  std::unique_ptr<Link> link_;
  int64_t next_step_ = 0;
  OpId last_ = 0;
  bool returned_ = false;
};

// Whether one mapping of exchange memory in this process has all of `bytes`.
bool LiesInExchangeMemory(absl::Span<const std::byte> bytes) {
  std::ifstream maps("/proc/self/maps");
  const auto first = reinterpret_cast<uintptr_t>(bytes.data());
  for (std::string line; std::getline(maps, line);) {
    unsigned long begin = 0, end = 0;
    if (!absl::StrContains(line, "ringmaster-exchange") ||
        std::sscanf(line.c_str(), "%lx-%lx", &begin, &end) != 2)
      continue;
    if (first >= begin && first + bytes.size() <= end) return true;
  }
  return false;
}

void ExpectBad(const absl::Status& status, const std::string& what) {
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), what)) << status;
}

TEST_F(LinkToForger, ACountOfDescriptorsTakenThatWereNeverSentIsAnErrorThatNamesIt) {
  for (const uint64_t forged : {uint64_t{kRingSlots} + 1, ~uint64_t{0}}) {
    out_->taken.store(forged);
    absl::Status status;
    for (int i = 0; i <= kRingSlots && status.ok(); ++i) status = Send({});
    ExpectBad(status, "its count of descriptors taken is");
  }
}

TEST_F(LinkToForger, ACountOfDescriptorsTakenThatFallsIsAnError) {
  for (int i = 0; i < kRingSlots; ++i) ASSERT_TRUE(Send({}).ok());
  out_->taken.store(kRingSlots);
  for (int i = 0; i < kRingSlots; ++i) ASSERT_TRUE(Send({}).ok());
  out_->taken.store(kRingSlots - 1);
  ExpectBad(Send({}), "its count of descriptors taken is 511, expected 512 to 1024");
}

TEST_F(LinkToForger, ACountOfBytesFreedThatWereNeverUsedIsAnError) {
  const std::vector<std::byte> whole_pool(kPoolBytes);
  ASSERT_TRUE(Send(whole_pool).ok());
  for (const uint64_t forged : {uint64_t{kPoolBytes} + 1, ~uint64_t{0}}) {
    out_->freed.store(forged);
    ExpectBad(Send(whole_pool), "its count of bytes freed is");
  }
}

TEST_F(LinkToForger, AcknowledgementsOfWhatWasNotSentEndNoSendAndNoLoanIsReturnedThatWasNotLent) {
  const Buffer memory = *heap_->Allocate(1 << 16);
  const auto payload = absl::MakeConstSpan(memory.data(), 1 << 16);
  ASSERT_TRUE(Send(payload).ok());
  for (int slot = 0; slot < kAckSlots; ++slot) {
    out_->acks[slot].sequence.store(77);
    out_->acks[slot].returned.store(1);
  }
  ASSERT_TRUE(link_->Advance().ok());
  EXPECT_FALSE(LastIsDone());
  // The right sequence, everywhere, with a return that nobody can have made: it ends the one send.
  for (int slot = 0; slot < kAckSlots; ++slot) out_->acks[slot].sequence.store(1);
  ASSERT_TRUE(link_->Advance().ok());
  EXPECT_TRUE(LastIsDone());
  EXPECT_FALSE(returned_);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(link_->Advance().ok());
}

TEST_F(LinkToForger, AsksOfNoMeaningAreNoHarm) {
  out_->help_asked.store(~uint32_t{0});
  EXPECT_TRUE(link_->Help().ok());
  in_->starved.store(~uint32_t{0});
  peer_.header()->waiters.store(~uint32_t{0});
  peer_.header()->sleepers.store(~uint32_t{0});
  peer_.header()->bell.store(~uint32_t{0});
  EXPECT_TRUE(Send({}).ok());
  EXPECT_TRUE(link_->Advance().ok());
}

TEST_F(LinkToForger, SegmentsAndPlacesThatDoNotExistAreErrors) {
  const auto refused = [&](int32_t segment, int64_t begin, int64_t bytes) {
    WriteDescriptor({kPeer, kHere, {MessageKind::kTest, 0, 0, 0}, bytes, 0, bytes},
                    PayloadPlace::kExchange, PlaceOf(segment, begin), 0, &in_->ring[0]);
    in_->ring[0].sequence.store(1);
    return link_->Advance().status();
  };
  const int64_t size_bytes = peer_heap_->mapped_bytes();
  ExpectBad(refused(1, 0, 8192), "segment is 1, which does not exist");
  ExpectBad(refused(kExchangeSegments, 0, 8192), "segment is 64");
  ExpectBad(refused(0, size_bytes - 8191, 8192), "place is");
  ExpectBad(refused(0, 0, size_bytes + 1), "total size");
  // The peer writes it: not to be trusted.
  peer_.header()->exchange[1] = {int64_t{1} << 40, peer_.header()->exchange[0].inode,
                                 peer_.header()->exchange[0].fd, 0};
  EXPECT_EQ(refused(1, 0, 8192).code(), absl::StatusCode::kUnavailable);
  peer_.header()->exchange[1] = {-1, 0, 0, 0};
  ExpectBad(refused(1, 0, 8192), "does not exist");
  EXPECT_TRUE(refused(0, size_bytes - 8192, 8192).ok());
}

TEST_F(LinkToForger, AMessageThatComesTwiceOrTooManyThatNobodyAwaitsAreErrors) {
  const auto publish = [&](uint64_t position, int64_t step) {
    Publish(position, {kPeer, kHere, {MessageKind::kTest, 0, 0, step}, 4096, 0, 4096},
            PayloadPlace::kExchange);
    return link_->Advance().status();
  };
  uint64_t position = 0;
  for (int i = 0; i < kAckSlots; ++i) ASSERT_TRUE(publish(position++, i).ok());
  ExpectBad(publish(position, kAckSlots), "too much came early");
}

// A descriptor that was damaged, on a link of its own, with a receive that takes loans posted for
// what it meant.
class NoisyLink : public LinkToForger {
 public:
  void TestBody() override {}

  // Whether the link took it.
  bool Take(Random* random) {
    const int64_t bytes = 1 + random->Below(kPieceBytes);
    const Tag tag = {MessageKind::kTest, 0, 0, 5};
    Publish(0, {kPeer, kHere, tag, bytes, 0, bytes}, static_cast<PayloadPlace>(random->Below(3)));
    auto* const noise = reinterpret_cast<unsigned char*>(&in_->ring[0]);
    for (uint64_t k = 0; k < 1 + random->Below(4); ++k) {
      noise[4 + random->Below(sizeof(Descriptor) - 4)] = static_cast<unsigned char>(random->Next());
    }
    std::vector<std::byte> out(bytes);
    Loan loan;
    EXPECT_TRUE(
        matcher_.AddReceive({kPeer, tag, absl::MakeSpan(out), ReceiveMode::kStore, &loan}).ok());
    const bool taken = link_->Advance().ok();
    EXPECT_TRUE(loan.memory.empty() || LiesInExchangeMemory(loan.memory));
    return taken;
  }
};

TEST(LinkUnderNoise, TakesOrRefusesADescriptorAndReachesNothingOutside) {
  const uint64_t seed = 11;
  SCOPED_TRACE(seed);
  Random random(seed);
  int taken = 0;
  constexpr int kRounds = 500;
  for (int i = 0; i < kRounds; ++i) taken += NoisyLink().Take(&random) ? 1 : 0;
  EXPECT_GT(taken, 0);
  EXPECT_LT(taken, kRounds);
}

}  // namespace
}  // namespace ringmaster
