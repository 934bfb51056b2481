#include "common/base/monotonic.h"
#include "common/transport/matcher.h"

#include <algorithm>
#include <thread>
#include <vector>

#include "common/base/random.h"
#include "common/vecmath/vecmath.h"
#include "gtest/gtest.h"
#include "tests/support/patience.h"

namespace ringmaster {
namespace {

constexpr NodeId kSelf = {Role::kWorker, 0};
constexpr NodeId kPeer = {Role::kWorker, 1};
constexpr Tag kTag = {MessageKind::kTest, 0, 0, 1};

MonotonicTime Soon() { return MonotonicNow() + Patience(30); }

std::vector<float> RandomFloats(int64_t count, uint64_t seed) {
  Random random(seed);
  std::vector<float> values(count);
  for (float& value : values) value = random.Normal();
  return values;
}

absl::Span<const std::byte> BytesOf(const std::vector<float>& values) {
  return absl::MakeConstSpan(reinterpret_cast<const std::byte*>(values.data()),
                             values.size() * sizeof(float));
}
absl::Span<std::byte> BytesOf(std::vector<float>& values) {
  return absl::MakeSpan(reinterpret_cast<std::byte*>(values.data()), values.size() * sizeof(float));
}

// Brings bytes [begin, end) of `bytes` as the wire does, one piece straight into its place, the
// next through a buffer.
absl::Status Wait(Matcher& matcher, OpId op, MonotonicTime deadline) {
  return matcher.WaitAny({op}, deadline).status();
}

void Arrive(Matcher& matcher, Matcher::Operation* message, absl::Span<const std::byte> bytes,
            int64_t begin, int64_t end, Random& random) {
  while (begin < end) {
    const int64_t count = std::min<int64_t>(end - begin, 1 + random.Below(37));
    const absl::Span<std::byte> direct =
        random.Below(2) == 0 ? matcher.Direct(message) : absl::Span<std::byte>();
    if (direct.empty()) {
      matcher.Append(message, bytes.subspan(begin, count));
    } else {
      std::copy_n(bytes.begin() + begin, count, direct.begin());
      matcher.Commit(message, count);
    }
    begin += count;
  }
}

TEST(Matcher, PostedAtAnyPointOfAnArrivingMessageEveryByteCountsOnce) {
  const std::vector<float> in = RandomFloats(64, 1), base = RandomFloats(64, 2);
  std::vector<float> sum = base;
  Add(in, absl::MakeSpan(sum));
  const int64_t total_bytes = in.size() * sizeof(float);
  Random random(3);
  for (const ReceiveMode mode : {ReceiveMode::kStore, ReceiveMode::kAddFloat32}) {
    for (int64_t posted_at = 0; posted_at <= total_bytes; ++posted_at) {
      Matcher matcher(kSelf, 1 << 20);
      std::vector<float> out = base;
      auto message = matcher.BeginSegment({kPeer, kTag, total_bytes, 0, total_bytes});
      ASSERT_TRUE(message.ok());
      Arrive(matcher, *message, BytesOf(in), 0, posted_at, random);
      auto op = matcher.AddReceive({kPeer, kTag, BytesOf(out), mode});
      ASSERT_TRUE(op.ok());
      Arrive(matcher, *message, BytesOf(in), posted_at, total_bytes, random);
      ASSERT_TRUE(Wait(matcher, *op, Soon()).ok());
      ASSERT_TRUE(out == (mode == ReceiveMode::kStore ? in : sum))
          << "posted at " << posted_at << ", seed 3";
    }
  }
}

TEST(Matcher, PostingWhileTheWireWritesIntoTheEarlyBufferLosesNothing) {
  const std::vector<float> in = RandomFloats(64, 1);
  const auto bytes = BytesOf(in);
  Matcher matcher(kSelf, 1 << 20);
  std::vector<float> out(64);
  auto message = matcher.BeginSegment({kPeer, kTag, 256, 0, 256});
  ASSERT_TRUE(message.ok());
  matcher.Append(*message, bytes.first(100));
  const absl::Span<std::byte> direct = matcher.Direct(*message);
  ASSERT_EQ(direct.size(), 156u);
  auto op = matcher.AddReceive({kPeer, kTag, BytesOf(out), ReceiveMode::kStore});
  ASSERT_TRUE(op.ok());
  std::copy(bytes.begin() + 100, bytes.end(), direct.begin());
  matcher.Commit(*message, 156);
  ASSERT_TRUE(Wait(matcher, *op, Soon()).ok());
  EXPECT_TRUE(out == in);
}

TEST(Matcher, PostedStoreIsWrittenStraightToItsDestination) {
  Matcher matcher(kSelf, 0);  // no room for anything early
  std::vector<std::byte> out(100);
  auto op = matcher.AddReceive({kPeer, kTag, absl::MakeSpan(out), ReceiveMode::kStore});
  auto message = matcher.BeginSegment({kPeer, kTag, 100, 0, 60});
  ASSERT_TRUE(op.ok() && message.ok());
  EXPECT_EQ(matcher.Direct(*message).data(), out.data());
  matcher.Commit(*message, 60);
  message = matcher.BeginSegment({kPeer, kTag, 100, 60, 40});
  ASSERT_TRUE(message.ok());
  EXPECT_EQ(matcher.Direct(*message).data(), out.data() + 60);
  matcher.Commit(*message, 40);
  EXPECT_TRUE(Wait(matcher, *op, Soon()).ok());
}

TEST(Matcher, SegmentThatDoesNotFollowTheOneBeforeIsRefused) {
  const std::vector<Matcher::Segment> wrong = {
      {kPeer, kTag, 100, 0, 40},   // the first once more
      {kPeer, kTag, 100, 80, 20},  // a gap
      {kPeer, kTag, 101, 40, 20},  // another total
      {kPeer, kTag, 100, 40, 61},  // beyond the end
      {kPeer, kTag, 100, 40, 0},   // nothing
  };
  for (const Matcher::Segment& segment : wrong) {
    Matcher matcher(kSelf, 1 << 20);
    auto message = matcher.BeginSegment({kPeer, kTag, 100, 0, 40});
    ASSERT_TRUE(message.ok());
    matcher.Append(*message, std::vector<std::byte>(40));
    EXPECT_EQ(matcher.BeginSegment(segment).status().code(), absl::StatusCode::kInvalidArgument)
        << segment.offset;
  }
}

TEST(Matcher, EmptyEarlyMessagesAreBoundedTooAndTheirRoomComesBack) {
  Matcher matcher(kSelf, 10'000);
  const auto bring = [&](int64_t step) {
    return matcher.BeginSegment({kPeer, {MessageKind::kTest, 0, 0, step}, 0, 0, 0});
  };
  for (int64_t step = 0; step < 1000; ++step) {
    ASSERT_TRUE(bring(step).ok());
    auto op =
        matcher.AddReceive({kPeer, {MessageKind::kTest, 0, 0, step}, {}, ReceiveMode::kStore});
    ASSERT_TRUE(op.ok());
    ASSERT_TRUE(Wait(matcher, *op, Soon()).ok());
  }
  int64_t step = 1000;
  while (bring(step).ok()) ASSERT_LT(++step, 2000);
  EXPECT_EQ(Wait(matcher, 1, Soon()).code(), absl::StatusCode::kResourceExhausted);
}

TEST(Matcher, WaitAnyReturnsWhatIsDoneInTheOrderInWhichItWasDone) {
  const uint64_t seed = 17;
  Random random(seed);
  Matcher matcher(kSelf, 0);
  constexpr int kOps = 300;
  std::vector<OpId> ops;
  for (int i = 0; i < kOps; ++i)
    ops.push_back(*matcher.AddSend(kPeer, {MessageKind::kTest, 0, i, 0}));
  std::vector<OpId> order = ops;
  for (int i = kOps - 1; i > 0; --i) std::swap(order[i], order[random.Below(i + 1)]);
  std::thread wire([&] {
    for (const OpId op : order) matcher.FinishSend(op);
  });
  for (const OpId expected : order) {
    const auto index = matcher.WaitAny(ops, Soon());
    ASSERT_TRUE(index.ok()) << index.status();
    ASSERT_EQ(ops[*index], expected) << "seed " << seed;
    ops.erase(ops.begin() + *index);
  }
  wire.join();
}

TEST(Matcher, AWaitTakesNothingThatItDoesNotWaitFor) {
  Matcher matcher(kSelf, 0);
  const OpId first = *matcher.AddSend(kPeer, kTag);
  const OpId second = *matcher.AddSend(kPeer, kTag);
  const OpId third = *matcher.AddSend(kPeer, kTag);
  for (const OpId op : {first, second}) matcher.FinishSend(op);
  EXPECT_TRUE(Wait(matcher, second, Soon()).ok());
  EXPECT_EQ(matcher.WaitAny({second, third}, Soon()).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(matcher.WaitAny({third}, MonotonicNow()).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  matcher.FinishSend(third);
  const auto index = matcher.WaitAny({third, first}, Soon());
  ASSERT_TRUE(index.ok()) << index.status();
  EXPECT_EQ(*index, 1);
  EXPECT_TRUE(Wait(matcher, third, Soon()).ok());
}

TEST(Matcher, ANumberThatWasWaitedForNamesNoLaterOperation) {
  Matcher matcher(kSelf, 0);
  const OpId old = *matcher.AddSend(kPeer, kTag);
  matcher.FinishSend(old);
  ASSERT_TRUE(Wait(matcher, old, Soon()).ok());
  const OpId later = *matcher.AddSend(kPeer, kTag);
  matcher.FinishSend(old);
  EXPECT_EQ(Wait(matcher, old, Soon()).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Wait(matcher, later, MonotonicNow()).code(), absl::StatusCode::kDeadlineExceeded);
}

TEST(Matcher, AddingToMemoryThatIsNotWholeElementsIsRefused) {
  Matcher matcher(kSelf, 0);
  std::vector<float> out(4);
  EXPECT_EQ(matcher.AddReceive({kPeer, kTag, BytesOf(out).first(15), ReceiveMode::kAddFloat32})
                .status()
                .code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(matcher.AddReceive({kPeer, kTag, BytesOf(out).subspan(2, 4), ReceiveMode::kAddFloat32})
                .status()
                .code(),
            absl::StatusCode::kInvalidArgument);
}

struct CountingRouser : Rouser {
  int count = 0;
  void Rouse() override { ++count; }
};

TEST(Matcher, WatcherIsRousedForItsOwnOperationsAndForAnAbortOnly) {
  Matcher matcher(kSelf, 0);
  CountingRouser rouser;
  const std::vector<OpId> watched = {*matcher.AddSend(kPeer, kTag), *matcher.AddSend(kPeer, kTag)};
  const OpId other = *matcher.AddSend(kPeer, kTag);
  Matcher::Waiter waiter(&rouser);
  ASSERT_EQ(*matcher.Watch(watched, &waiter), -1);
  uint64_t changes = matcher.changes();
  matcher.FinishSend(other);
  EXPECT_EQ(rouser.count, 0);
  EXPECT_NE(matcher.changes(), changes);
  changes = matcher.changes();
  matcher.FinishSend(watched[1]);
  EXPECT_EQ(rouser.count, 1);
  EXPECT_NE(matcher.changes(), changes);
  matcher.Unwatch(&waiter);
  // What is done already is no reason to sleep.
  EXPECT_EQ(*matcher.Watch(watched, &waiter), 1);
  const std::vector<OpId> left = {watched[0]};
  ASSERT_EQ(*matcher.Watch(left, &waiter), -1);
  matcher.Abort(absl::CancelledError("stopped"));
  EXPECT_EQ(rouser.count, 2);
  matcher.Unwatch(&waiter);
  EXPECT_EQ(matcher.Watch(left, &waiter).status(), absl::CancelledError("stopped"));
}

TEST(Matcher, CallEndsASleepThatHasBegunOrNotAndTakesNothingDoneAway) {
  Matcher matcher(kSelf, 0);
  const std::vector<OpId> ops = {*matcher.AddSend(kPeer, kTag)};
  Matcher::Waiter called_before;
  matcher.Call(&called_before);
  EXPECT_EQ(*matcher.WaitAny(ops, Soon(), &called_before), -1);
  Matcher::Waiter waiter;
  absl::StatusOr<int> result = 0;
  std::thread sleeper([&] { result = matcher.WaitAny(ops, Soon(), &waiter); });
  matcher.Call(&waiter);
  sleeper.join();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(*result, -1);
  matcher.FinishSend(ops[0]);
  EXPECT_EQ(*matcher.WaitAny(ops, Soon(), &called_before), 0);
}

}  // namespace
}  // namespace ringmaster
