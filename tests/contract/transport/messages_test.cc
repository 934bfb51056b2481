// What every fabric does with messages, whatever carries them.
#include <algorithm>
#include <cstring>
#include <map>
#include <numeric>
#include <thread>

#include "absl/strings/match.h"
#include "absl/synchronization/notification.h"
#include "common/base/monotonic.h"
#include "common/base/random.h"
#include "common/transport/metered.h"
#include "common/vecmath/vecmath.h"
#include "gtest/gtest.h"
#include "tests/contract/transport/fabric_group.h"

namespace ringmaster {
namespace {

constexpr int64_t kSegmentBytes = 64 << 10;  // small, so that messages have many

using Bytes = std::vector<std::byte>;

Bytes RandomBytes(int64_t count, uint64_t seed) {
  Random random(seed);
  Bytes bytes(count);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random.Next());
  return bytes;
}

class EveryFabric : public testing::TestWithParam<std::string> {
 protected:
  FabricOptions Options() const {
    FabricOptions options;
    SetTransport(GetParam(), &options);
    options.credentials.token = "of this test";
    options.segment_bytes = kSegmentBytes;
    return options;
  }

  FabricGroup Join(const std::vector<int>& workers_by_process) {
    return Join(Options(), workers_by_process);
  }
  FabricGroup Join(const FabricOptions& options, const std::vector<int>& workers_by_process) {
    absl::StatusOr<FabricGroup> group = JoinFabrics(options, workers_by_process);
    EXPECT_TRUE(group.ok()) << group.status();
    return *std::move(group);
  }
};

TEST_P(EveryFabric, BringsEverySizeUnharmedPostedBeforeOrAfter) {
  FabricGroup group = Join({1, 1});
  std::vector<int64_t> sizes = {0, 1, 3, 63, 64, 65, 4096, 8191};
  sizes.insert(sizes.end(), {kSegmentBytes - 1, kSegmentBytes, kSegmentBytes + 1});
  sizes.insert(sizes.end(), {3 * kSegmentBytes + 17, 5 << 20, (7 << 20) + 13});
  int64_t step = 0;
  for (const int64_t size : sizes) {
    for (const bool post_first : {true, false}) {
      SCOPED_TRACE(testing::Message()
                   << size << " bytes, posted " << (post_first ? "before" : "after"));
      const Tag tag = TestTag(++step);
      const Bytes in = RandomBytes(size, step);
      Bytes out(size);
      absl::StatusOr<OpId> post = -1;
      if (post_first) post = group.worker(1).Receive({Worker(0), tag, absl::MakeSpan(out)});
      const absl::StatusOr<OpId> send = group.worker(0).Send({Worker(1), tag, in});
      ASSERT_OK(send.status());
      if (!post_first) {
        // With the send done, an unposted message is at least on its way.
        ASSERT_OK(group.worker(0).Wait(*send, Soon()));
        post = group.worker(1).Receive({Worker(0), tag, absl::MakeSpan(out)});
      }
      ASSERT_OK(post.status());
      ASSERT_OK(group.worker(1).Wait(*post, Soon()));
      if (post_first) ASSERT_OK(group.worker(0).Wait(*send, Soon()));
      ASSERT_TRUE(in == out);
    }
  }
}

TEST_P(EveryFabric, RingOfFourInWhichAllSendSixteenMegabytesFirstFinishes) {
  FabricGroup group = Join({1, 1, 1, 1});
  constexpr int kRanks = 4;
  constexpr int64_t kSize = 16 << 20;
  std::vector<Bytes> in(kRanks), out(kRanks, Bytes(kSize));
  std::vector<absl::Status> statuses(kRanks);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < kRanks; ++rank) in[rank] = RandomBytes(kSize, rank);
  for (int rank = 0; rank < kRanks; ++rank) {
    threads.emplace_back([&, rank] {
      Transport& transport = group.worker(rank);
      statuses[rank] = [&]() -> absl::Status {
        auto send = transport.Send({Worker((rank + 1) % kRanks), TestTag(0), in[rank]});
        if (!send.ok()) return send.status();
        auto post = transport.Receive(
            {Worker((rank + kRanks - 1) % kRanks), TestTag(0), absl::MakeSpan(out[rank])});
        if (!post.ok()) return post.status();
        const absl::Status sent = transport.Wait(*send, Soon());
        const absl::Status received = transport.Wait(*post, Soon());
        return sent.ok() ? received : sent;
      }();
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int rank = 0; rank < kRanks; ++rank) {
    ASSERT_OK(statuses[rank]);
    EXPECT_TRUE(out[rank] == in[(rank + kRanks - 1) % kRanks]);
  }
}

TEST_P(EveryFabric, SumsOfFloatsAndHalvesEqualVecmathBitForBit) {
  FabricGroup group = Join({1, 1});
  constexpr int64_t kCount = 300'001;
  Random random(7);
  std::vector<float> in(kCount), base(kCount);
  for (float& value : in) value = random.Normal();
  for (float& value : base) value = random.Normal();
  std::vector<uint16_t> in_half(kCount), base_half(kCount);
  ToFloat16(in, absl::MakeSpan(in_half));
  ToFloat16(base, absl::MakeSpan(base_half));

  int64_t step = 0;
  const auto exchange = [&](auto& values, auto sum, ReceiveMode mode,
                            bool post_first) -> decltype(sum) {
    const auto bytes = absl::MakeConstSpan(reinterpret_cast<const std::byte*>(values.data()),
                                           values.size() * sizeof(values[0]));
    const auto out = absl::MakeSpan(reinterpret_cast<std::byte*>(sum.data()), bytes.size());
    const Tag tag = TestTag(++step);
    absl::StatusOr<OpId> post = -1;
    if (post_first) post = group.worker(1).Receive({Worker(0), tag, out, mode});
    auto send = group.worker(0).Send({Worker(1), tag, bytes});
    if (!post_first) post = group.worker(1).Receive({Worker(0), tag, out, mode});
    EXPECT_TRUE(send.ok() && post.ok());
    EXPECT_TRUE(group.worker(1).Wait(*post, Soon()).ok());
    EXPECT_TRUE(group.worker(0).Wait(*send, Soon()).ok());
    return sum;
  };
  std::vector<float> expected = base;
  Add(in, absl::MakeSpan(expected));
  std::vector<uint16_t> expected_half = base_half;
  AddFloat16(in_half, absl::MakeSpan(expected_half));
  for (const bool post_first : {true, false}) {
    EXPECT_TRUE(exchange(in, base, ReceiveMode::kAddFloat32, post_first) == expected);
    EXPECT_TRUE(exchange(in_half, base_half, ReceiveMode::kAddFloat16, post_first) ==
                expected_half);
  }
}

TEST_P(EveryFabric, AReceiveOfAnySizeTellsTheSizeAndTheNoteThatCame) {
  FabricGroup group = Join({1, 1});
  for (const int64_t size : {int64_t{0}, int64_t{1}, 2 * kSegmentBytes + 5, int64_t{1} << 20}) {
    const Bytes in = RandomBytes(size, size);
    Bytes out(1 << 20);
    Received received = {-1, -1};
    Tag noted = TestTag(size);
    noted.note = -size - (int64_t{1} << 40);
    auto post = group.worker(1).Receive({Worker(0), TestTag(size), absl::MakeSpan(out), &received});
    auto send = group.worker(0).Send({Worker(1), noted, in});
    ASSERT_TRUE(post.ok() && send.ok());
    ASSERT_OK(group.worker(1).Wait(*post, Soon()));
    ASSERT_OK(group.worker(0).Wait(*send, Soon()));
    EXPECT_EQ(received.bytes, size);
    EXPECT_EQ(received.note, noted.note);
    EXPECT_TRUE(std::equal(in.begin(), in.end(), out.begin()));
  }
}

TEST_P(EveryFabric, ManySmallMessagesAreFoundByTheirTagsInAnyOrder) {
  FabricGroup group = Join({1, 1});
  constexpr int kMessages = 2000;
  std::vector<int> order(kMessages);
  std::iota(order.begin(), order.end(), 0);
  const uint64_t seed = 11;
  Random random(seed);
  for (int i = kMessages - 1; i > 0; --i) std::swap(order[i], order[random.Below(i + 1)]);
  std::vector<int> in(kMessages), out(kMessages, -1);
  std::vector<OpId> sends, posts;
  const auto post = [&](int i) {
    auto op = group.worker(1).Receive(
        {Worker(0), TestTag(i / 7, i % 7),
         absl::MakeSpan(reinterpret_cast<std::byte*>(&out[i]), sizeof(int))});
    ASSERT_OK(op.status());
    posts.push_back(*op);
  };
  for (int i = 0; i < kMessages / 2; ++i) post(order[i]);
  for (int i = 0; i < kMessages; ++i) {
    in[i] = i;
    auto op = group.worker(0).Send(
        {Worker(1), TestTag(i / 7, i % 7),
         absl::MakeSpan(reinterpret_cast<const std::byte*>(&in[i]), sizeof(int))});
    ASSERT_OK(op.status());
    sends.push_back(*op);
  }
  for (int i = kMessages / 2; i < kMessages; ++i) post(order[i]);
  for (const OpId op : posts) ASSERT_OK(group.worker(1).Wait(op, Soon()));
  for (const OpId op : sends) ASSERT_OK(group.worker(0).Wait(op, Soon()));
  EXPECT_TRUE(in == out) << "seed " << seed;
}

TEST_P(EveryFabric, MessageOfAnotherSizeFailsItsWaitAloneAndNamesBoth) {
  FabricGroup group = Join({1, 1});
  const Bytes in = RandomBytes(2 * kSegmentBytes + 4, 1);
  for (const bool post_first : {true, false}) {
    Bytes out(1000), next(in.size());
    const Tag tag = {MessageKind::kPush, 0, 3, post_first};
    const Tag next_tag = TestTag(post_first);
    absl::StatusOr<OpId> post = -1;
    if (post_first) post = group.worker(1).Receive({Worker(0), tag, absl::MakeSpan(out)});
    auto send = group.worker(0).Send({Worker(1), tag, in});
    auto next_send = group.worker(0).Send({Worker(1), next_tag, in});
    if (!post_first) post = group.worker(1).Receive({Worker(0), tag, absl::MakeSpan(out)});
    auto next_post = group.worker(1).Receive({Worker(0), next_tag, absl::MakeSpan(next)});
    ASSERT_TRUE(post.ok() && send.ok() && next_post.ok() && next_send.ok());
    const absl::Status status = group.worker(1).Wait(*post, Soon());
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    for (const std::string& part :
         {std::to_string(in.size()), std::string("1000"), std::string("worker/0"),
          std::string("push step="), std::string("bucket=3")}) {
      EXPECT_TRUE(absl::StrContains(status.message(), part)) << status;
    }
    EXPECT_EQ(out, Bytes(1000));
    ASSERT_OK(group.worker(1).Wait(*next_post, Soon()));
    EXPECT_TRUE(next == in);
    ASSERT_OK(group.worker(0).Wait(*send, Soon()));
    ASSERT_OK(group.worker(0).Wait(*next_send, Soon()));
  }
}

TEST_P(EveryFabric, RefusesToPostTwiceAndToTalkToStrangers) {
  FabricGroup group = Join({1, 1});
  Bytes out(4);
  ASSERT_OK(group.worker(1).Receive({Worker(0), TestTag(1), absl::MakeSpan(out)}).status());
  EXPECT_EQ(group.worker(1).Receive({Worker(0), TestTag(1), absl::MakeSpan(out)}).status().code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(group.worker(0).Send({Worker(9), TestTag(1), out}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(group.worker(0).Receive({Worker(9), TestTag(1), absl::MakeSpan(out)}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(group.worker(0).Wait(12345, Soon()).code(), absl::StatusCode::kInvalidArgument);
}

TEST_P(EveryFabric, DeadlineNamesPeerAndTagAndLeavesTheReceiveInPlace) {
  FabricGroup group = Join({1, 1});
  Bytes out(4);
  const Tag tag = {MessageKind::kPush, 0, 3, 12};
  auto post = group.worker(0).Receive({Worker(1), tag, absl::MakeSpan(out)});
  ASSERT_OK(post.status());
  const absl::Status status = group.worker(0).Wait(*post, MonotonicNow() + absl::Milliseconds(100));
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(status.message(), "nothing from worker/1 for push step=12 bucket=3 within 0.1s");
  const Bytes in = RandomBytes(4, 1);
  auto send = group.worker(1).Send({Worker(0), tag, in});
  ASSERT_OK(send.status());
  ASSERT_OK(group.worker(0).Wait(*post, Soon()));
  EXPECT_TRUE(in == out);
  ASSERT_OK(group.worker(1).Wait(*send, Soon()));
}

TEST_P(EveryFabric, WaitAnyReturnsEachOperationOnceAsItIsDone) {
  FabricGroup group = Join({1, 1, 1});
  std::vector<Bytes> out(3, Bytes(8));
  std::vector<OpId> ops;
  for (int i = 0; i < 3; ++i) {
    auto op = group.worker(0).Receive({Worker(i == 2 ? 2 : 1), TestTag(i), absl::MakeSpan(out[i])});
    ASSERT_OK(op.status());
    ops.push_back(*op);
  }
  const Bytes in = RandomBytes(8, 5);
  for (const int i : {1, 2, 0}) {
    auto send = group.worker(i == 2 ? 2 : 1).Send({Worker(0), TestTag(i), in});
    ASSERT_OK(send.status());
    const absl::StatusOr<int> done = group.worker(0).WaitAny(ops, Soon());
    ASSERT_OK(done.status());
    EXPECT_TRUE(out[i] == in);
    auto expected_post =
        group.worker(0).Receive({Worker(1), TestTag(100 + i), absl::MakeSpan(out[i])});
    ASSERT_OK(expected_post.status());
    EXPECT_EQ(group.worker(0).Wait(ops[*done], Soon()).code(), absl::StatusCode::kInvalidArgument);
    ops[*done] = *expected_post;
    ASSERT_OK(group.worker(i == 2 ? 2 : 1).Wait(*send, Soon()));
  }
  const absl::Status none = group.worker(0).WaitAny(ops, MonotonicNow()).status();
  EXPECT_EQ(none.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(absl::StrContains(none.message(), "2 more")) << none;
}

TEST_P(EveryFabric, AbortWakesAWaiterOnAnotherThreadAndFailsAllLaterCalls) {
  FabricGroup group = Join({1, 1});
  Bytes out(4);
  auto post = group.worker(0).Receive({Worker(1), TestTag(1), absl::MakeSpan(out)});
  ASSERT_OK(post.status());
  absl::Status status;
  std::thread waiter([&] { status = group.worker(0).Wait(*post, Soon()); });
  group.fabrics[0]->Abort(absl::CancelledError("stopped by the user"));
  group.fabrics[0]->Abort(absl::InternalError("a later abort loses"));
  waiter.join();
  EXPECT_EQ(status, absl::CancelledError("stopped by the user"));
  EXPECT_EQ(group.worker(0).Receive({Worker(1), TestTag(2), absl::MakeSpan(out)}).status(), status);
  EXPECT_EQ(group.worker(0).Send({Worker(1), TestTag(2), out}).status(), status);
  EXPECT_EQ(group.worker(0).Wait(*post, Soon()), status);
}

TEST_P(EveryFabric, EarlyMessagesBeyondTheLimitEndTheRunWithResourceExhausted) {
  FabricOptions options = Options();
  options.early_bytes_limit = 1 << 20;
  // Sends that are never waited for: their memory outlives the fabrics.
  const Bytes in = RandomBytes(300 << 10, 1);
  Bytes out(4);
  FabricGroup group = Join(options, {1, 1});
  auto post = group.worker(1).Receive({Worker(0), TestTag(99), absl::MakeSpan(out)});
  ASSERT_OK(post.status());
  for (int i = 0; i < 4; ++i) {
    if (!group.worker(0).Send({Worker(1), TestTag(i), in}).ok())
      break;  // the fourth, when it is refused at once
  }
  const absl::Status status = group.worker(1).Wait(*post, Soon());
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "worker/0")) << status;
}

TEST_P(EveryFabric, WorkersOfOneProcessTalkInMemoryAndAcrossProcessesAtOnce) {
  FabricGroup group = Join({2, 1});
  const Bytes in = RandomBytes(3 * kSegmentBytes, 2);
  std::map<std::pair<int, int>, Bytes> out;
  std::vector<std::pair<int, OpId>> ops;
  for (int to = 0; to < 3; ++to) {
    for (int from = 0; from < 3; ++from) {
      Bytes& place = out[{from, to}];
      place.resize(in.size());
      auto post = group.worker(to).Receive({Worker(from), TestTag(1), absl::MakeSpan(place)});
      auto send = group.worker(from).Send({Worker(to), TestTag(1), in});
      ASSERT_TRUE(post.ok() && send.ok());
      ops.emplace_back(to, *post);
      ops.emplace_back(from, *send);
    }
  }
  for (const auto& [rank, op] : ops) ASSERT_OK(group.worker(rank).Wait(op, Soon()));
  for (const auto& [pair, bytes] : out)
    EXPECT_TRUE(bytes == in) << pair.first << " to " << pair.second;
}

TEST_P(EveryFabric, MeteringCountsRemoteMessagesToTheByte) {
  FabricGroup group = Join({1, 1, 1});
  const auto meter = [&](int rank) {
    return CreateMeteredTransport(group.worker(rank), *group.fabrics[group.homes[rank]],
                                  [](NodeId peer) { return peer == Worker(2); });
  };
  const auto sender = meter(0), receiver = meter(1);
  const Fabric& fabric = *group.fabrics[0];
  Bytes in = RandomBytes(2 * kSegmentBytes + 10, 1), out(in.size()), up_to(1000);
  Received received;
  auto post = receiver->Receive({Worker(0), TestTag(1), absl::MakeSpan(out)});
  auto post_up_to = receiver->Receive(
      {Worker(0), {MessageKind::kPush, 0, 0, 1}, absl::MakeSpan(up_to), &received});
  auto send = sender->Send({Worker(1), TestTag(1), in});
  auto send_less =
      sender->Send({Worker(1), {MessageKind::kPush, 0, 0, 1}, absl::MakeSpan(in).first(77)});
  auto send_near = sender->Send({Worker(2), TestTag(1), in});
  ASSERT_TRUE(post.ok() && post_up_to.ok() && send.ok() && send_less.ok() && send_near.ok());
  EXPECT_TRUE(receiver->traffic().received.empty());
  ASSERT_OK(receiver->Wait(*post, Soon()));
  ASSERT_OK(receiver->WaitAny({*post_up_to}, Soon()).status());
  for (const OpId op : {*send, *send_less, *send_near}) ASSERT_OK(sender->Wait(op, Soon()));
  for (const auto& by_kind : {sender->traffic().sent, receiver->traffic().received}) {
    ASSERT_EQ(by_kind.size(), 2u);
    EXPECT_EQ(by_kind.at(MessageKind::kTest).messages, 1);
    EXPECT_EQ(by_kind.at(MessageKind::kTest).payload_bytes, 2 * kSegmentBytes + 10);
    EXPECT_EQ(by_kind.at(MessageKind::kTest).header_bytes,
              fabric.HeaderBytes(Worker(1), 2 * kSegmentBytes + 10));
    EXPECT_EQ(by_kind.at(MessageKind::kPush).payload_bytes, 77);
  }
  // Frames have a header for each segment, shared memory has a descriptor for each message.
  const int64_t frames = fabric.WireTo(Worker(1)) == "shm" ? 1 : 3;
  EXPECT_EQ(fabric.HeaderBytes(Worker(1), 2 * kSegmentBytes + 10),
            frames * fabric.HeaderBytes(Worker(1), 0));
}

TEST_P(EveryFabric, ExchangeMemoryIsSentLikeAnyOther) {
  FabricGroup group = Join({1, 1});
  const int64_t sizes[] = {0, 4, 4096, 4100, kSegmentBytes, 3 * kSegmentBytes + 20, (5 << 20) + 4};
  absl::StatusOr<Buffer> memory = group.fabrics[0]->AllocateExchange(6 << 20);
  ASSERT_OK(memory.status());
  int64_t step = 0;
  for (const int64_t size : sizes) {
    for (const ReceiveMode mode : {ReceiveMode::kStore, ReceiveMode::kAddFloat32}) {
      for (const bool post_first : {true, false}) {
        SCOPED_TRACE(testing::Message()
                     << size << " bytes, posted " << (post_first ? "before" : "after"));
        const Tag tag = TestTag(++step);
        const absl::Span<float> in = memory->float_span().subspan(step, size / 4);
        Random random(step);
        for (float& value : in) value = random.Normal();
        std::vector<float> out(in.size(), 0.5f);
        std::vector<float> expected(in.begin(), in.end());
        if (mode == ReceiveMode::kAddFloat32) {
          for (float& value : expected) value += 0.5f;
        }
        const auto out_bytes = absl::MakeSpan(reinterpret_cast<std::byte*>(out.data()), size);
        absl::StatusOr<OpId> post = -1;
        if (post_first) post = group.worker(1).Receive({Worker(0), tag, out_bytes, mode});
        const auto send = group.worker(0).Send(
            {Worker(1), tag,
             absl::MakeConstSpan(reinterpret_cast<const std::byte*>(in.data()), size)});
        ASSERT_OK(send.status());
        // A send is over sooner or later, whether its receive is posted or not.
        if (!post_first && size < kSegmentBytes) ASSERT_OK(group.worker(0).Wait(*send, Soon()));
        if (!post_first) post = group.worker(1).Receive({Worker(0), tag, out_bytes, mode});
        ASSERT_OK(post.status());
        ASSERT_OK(group.worker(1).Wait(*post, Soon()));
        if (post_first || size >= kSegmentBytes) ASSERT_OK(group.worker(0).Wait(*send, Soon()));
        ASSERT_TRUE(out == expected);
      }
    }
  }
}

TEST_P(EveryFabric, SpinningWaitsSleepInTheEndAndMissNothing) {
  FabricOptions options = Options();
  options.wait = "spin";
  FabricGroup group = Join(options, {1, 1});
  // One side turns the message round at once, then after longer than any spin.
  constexpr int kTurns = 200;
  absl::Status status;
  std::thread other([&] {
    status = [&]() -> absl::Status {
      int value = 0;
      const auto bytes = absl::MakeSpan(reinterpret_cast<std::byte*>(&value), sizeof(value));
      for (int i = 0; i < kTurns; ++i) {
        auto post = group.worker(1).Receive({Worker(0), TestTag(i), bytes});
        if (!post.ok()) return post.status();
        if (absl::Status waited = group.worker(1).Wait(*post, Soon()); !waited.ok()) return waited;
        auto never = group.worker(1).Receive({Worker(0), TestTag(-1 - i), {}});
        if (!never.ok()) return never.status();
        // A wait in vain is the pause.
        if (i % 20 == 0)
          group.worker(1).Wait(*never, MonotonicNow() + absl::Milliseconds(2)).IgnoreError();
        auto send = group.worker(1).Send({Worker(0), TestTag(i), bytes});
        if (!send.ok()) return send.status();
        if (absl::Status waited = group.worker(1).Wait(*send, Soon()); !waited.ok()) return waited;
      }
      return absl::OkStatus();
    }();
  });
  for (int i = 0; i < kTurns; ++i) {
    int back = -1;
    auto post = group.worker(0).Receive(
        {Worker(1), TestTag(i), absl::MakeSpan(reinterpret_cast<std::byte*>(&back), sizeof(back))});
    auto send = group.worker(0).Send(
        {Worker(1), TestTag(i), absl::MakeSpan(reinterpret_cast<const std::byte*>(&i), sizeof(i))});
    ASSERT_TRUE(post.ok() && send.ok());
    ASSERT_OK(group.worker(0).Wait(*post, Soon()));
    ASSERT_OK(group.worker(0).Wait(*send, Soon()));
    EXPECT_EQ(back, i);
  }
  other.join();
  EXPECT_TRUE(status.ok()) << status;
}

TEST_P(EveryFabric, ManyUnpostedMessagesFromExchangeMemoryDoNotStopTheLastOne) {
  FabricGroup group = Join({1, 1});
  constexpr int kMessages = 700;
  constexpr int64_t kFloats = 2048;
  absl::StatusOr<Buffer> memory = group.fabrics[0]->AllocateExchange(kMessages * kFloats * 4);
  ASSERT_OK(memory.status());
  std::vector<OpId> sends;
  for (int i = 0; i < kMessages; ++i) {
    const absl::Span<float> in = memory->float_span().subspan(i * kFloats, kFloats);
    std::fill(in.begin(), in.end(), static_cast<float>(i));
    const auto send = group.worker(0).Send(
        {Worker(1), TestTag(i),
         absl::MakeConstSpan(reinterpret_cast<const std::byte*>(in.data()), in.size() * 4)});
    ASSERT_OK(send.status());
    sends.push_back(*send);
  }
  for (int i = kMessages - 1; i >= 0; --i) {
    std::vector<float> out(kFloats);
    const auto post = group.worker(1).Receive(
        {Worker(0), TestTag(i),
         absl::MakeSpan(reinterpret_cast<std::byte*>(out.data()), out.size() * 4)});
    ASSERT_OK(post.status());
    ASSERT_OK(group.worker(1).Wait(*post, Soon()));
    ASSERT_EQ(out, std::vector<float>(kFloats, static_cast<float>(i)));
  }
  for (const OpId op : sends) ASSERT_OK(group.worker(0).Wait(op, Soon()));
}

INSTANTIATE_TEST_SUITE_P(All, EveryFabric, testing::ValuesIn(TransportsUnderTest()),
                         [](const auto& info) { return info.param; });

TEST(CreateFabric, UnknownNameAndSenselessSegmentAreRefusedByName) {
  FabricOptions options;
  options.name = "carrier-pigeon";
  EXPECT_EQ(CreateFabric(options).status().code(), absl::StatusCode::kInvalidArgument);
  options.name = "inproc";
  options.segment_bytes = 6;
  EXPECT_EQ(CreateFabric(options).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace ringmaster
