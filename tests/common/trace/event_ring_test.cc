#include "common/trace/event_ring.h"

#include <atomic>
#include <limits>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/allocations.h"

namespace ringmaster {
namespace {

Clock::time_point At(int64_t ns) { return Clock::time_point(std::chrono::nanoseconds(ns)); }

TEST(EventRing, KeepsTheLastEventsInOrderAndForgetsTheOthers) {
  EventRing ring(3);
  EXPECT_TRUE(ring.Read().empty());
  for (int64_t i = 1; i <= 2; ++i) ring.AddSpan({"load", i, -1, At(i), At(i + 1)});
  ASSERT_EQ(ring.Read().size(), 2u);
  for (int64_t i = 3; i <= 8; ++i) ring.AddSpan({"load", i, -1, At(10 * i), At(10 * i + 4)});
  const std::vector<KeptEvent> events = ring.Read();
  ASSERT_EQ(events.size(), 3u);
  for (int64_t i = 0; i < 3; ++i) {
    EXPECT_EQ(events[i].kind, KeptEvent::Kind::kSpan);
    EXPECT_EQ(events[i].number, 6 + i);
    EXPECT_STREQ(events[i].span.name, "load");
    EXPECT_EQ(events[i].span.step, 6 + i);
    EXPECT_EQ(events[i].span.bucket, -1);
    EXPECT_EQ(events[i].span.begin, At(10 * (6 + i)));
    EXPECT_EQ(events[i].time(), At(10 * (6 + i) + 4));
  }
}

TEST(EventRing, AMessageComesBackWithItsWholeName) {
  constexpr int32_t kLargest = std::numeric_limits<int32_t>::max();
  EventRing ring(2);
  MessageEnd end;
  end.peer = {Role::kServer, kLargest};
  end.tag.kind = MessageKind::kWeights;
  end.tag.bucket = kLargest;
  end.tag.round = 65535;
  end.tag.piece = 65534;
  end.tag.channel = 65533;
  end.step = -1;
  end.payload_bytes = int64_t{1} << 40;
  end.kind = "returned";
  ring.AddMessage(KeptEvent::Kind::kReceived, end, At(77));
  MessageEnd small;
  small.peer = {Role::kWorker, 3};
  ring.AddMessage(KeptEvent::Kind::kSent, small, At(78));
  const std::vector<KeptEvent> events = ring.Read();
  ASSERT_EQ(events.size(), 2u);
  const MessageEnd& read = events[0].message.end;
  EXPECT_EQ(events[0].kind, KeptEvent::Kind::kReceived);
  EXPECT_EQ(read.peer, end.peer);
  Tag tag = end.tag;
  tag.step = 0;  // not kept: the training's step is
  EXPECT_EQ(read.tag, tag);
  EXPECT_EQ(read.step, -1);
  EXPECT_EQ(read.payload_bytes, int64_t{1} << 40);
  EXPECT_STREQ(read.kind, "returned");
  EXPECT_EQ(events[0].time(), At(77));
  EXPECT_EQ(events[1].kind, KeptEvent::Kind::kSent);
  EXPECT_EQ(events[1].message.end.peer, small.peer);
  EXPECT_EQ(events[1].message.end.kind, nullptr);
}

TEST(EventRing, AddingAllocatesNothing) {
  EventRing ring(200);
  const int64_t before = ThreadAllocations();
  for (int64_t i = 0; i < 1000; ++i) {
    ring.AddSpan({"load", i, -1, At(i), At(i + 1)});
    ring.AddMessage(KeptEvent::Kind::kSent, {}, At(i));
  }
  EXPECT_EQ(ThreadAllocations(), before);
  EXPECT_EQ(ring.Read().size(), 200u);
}

// Every field of an event says which one it is, so that half of one beside half of another shows.
TEST(EventRing, WhoReadsMeanwhileSeesWholeEventsInOrder) {
  constexpr int64_t kEnough = 200'000;
  EventRing ring(2);
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (int64_t i = 1; !stop.load(std::memory_order_relaxed); ++i)
      ring.AddSpan({"load", i, static_cast<int32_t>(i), At(i), At(2 * i)});
  });
  int64_t seen = 0;
  while (seen < kEnough && !HasFailure()) {
    int64_t last = 0;
    for (const KeptEvent& event : ring.Read()) {
      ++seen;
      const int64_t i = event.number;
      EXPECT_GT(i, last);
      last = i;
      EXPECT_EQ(event.span.step, i);
      EXPECT_EQ(event.span.bucket, static_cast<int32_t>(i));
      EXPECT_EQ(event.span.begin, At(i));
      EXPECT_EQ(event.span.end, At(2 * i));
    }
  }
  stop.store(true);
  writer.join();
}

}  // namespace
}  // namespace ringmaster
