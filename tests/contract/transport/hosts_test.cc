// What fabrics do whose processes are on several hosts: each pair has its own wire.
#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/synchronization/notification.h"
#include "common/base/monotonic.h"
#include "common/base/random.h"
#include "common/tensor/tensor.h"
#include "common/transport/metered.h"
#include "gtest/gtest.h"
#include "tests/contract/transport/fabric_group.h"
#include "tests/support/patience.h"

namespace ringmaster {
namespace {

using Bytes = std::vector<std::byte>;

class Hosts : public testing::TestWithParam<std::string> {
 protected:
  // Four processes with a worker each: worker i lives in process i.
  FabricGroup Join(const std::string& wait = "sleep", bool outlives_peers = false) {
    FabricOptions options;
    SetTransport(GetParam(), &options);
    options.credentials.token = "of this test";
    options.wait = wait;
    options.outlives_peers = outlives_peers;
    absl::StatusOr<FabricGroup> group = JoinFabrics(options, {1, 1, 1, 1});
    EXPECT_TRUE(group.ok()) << group.status();
    return *std::move(group);
  }

  // The first process on process 0's host, or on another.
  static int32_t Peer(bool is_near) {
    int32_t peer = 1;
    while (SharesMemory(GetParam(), 0, peer) != is_near) ++peer;
    return peer;
  }

  // Returns when a thread waits at `transport` that sleeps until something comes, and no longer for
  // a tenth of a second only: it is shown then.
  static void AwaitLongWait(Transport& transport) {
    const MonotonicTime deadline = Soon();
    while (transport.activity(transport.activity(-1).moved).awaited.empty() &&
           MonotonicNow() < deadline) {
      std::this_thread::yield();
    }
  }
};

TEST_P(Hosts, BothEndsOfAPairSayTheSameWire) {
  FabricGroup group = Join();
  for (int32_t a = 0; a < 4; ++a) {
    EXPECT_EQ(group.fabrics[a]->name(), "shm+tcp");
    for (int32_t b = 0; b < 4; ++b) {
      if (a == b) continue;
      const char* const wire = SharesMemory(GetParam(), a, b) ? "shm" : "tcp";
      EXPECT_EQ(group.fabrics[a]->WireTo(Worker(b)), wire) << a << " to " << b;
    }
  }
}

TEST_P(Hosts, AThreadThatHasSleptForLongIsWokenByEitherWire) {
  FabricGroup group = Join();
  const int32_t near = Peer(true), far = Peer(false);
  for (const bool is_near : {true, false}) {
    const Bytes to_near(100), to_far(100'000);
    Bytes of_near(to_near.size()), of_far(to_far.size());
    Transport& waiting = group.worker(0);
    const auto from_near =
        waiting.Receive({Worker(near), TestTag(is_near), absl::MakeSpan(of_near)});
    const auto from_far = waiting.Receive({Worker(far), TestTag(is_near), absl::MakeSpan(of_far)});
    ASSERT_TRUE(from_near.ok() && from_far.ok());
    absl::StatusOr<int> done = -1;
    absl::Notification is_awake;
    std::thread waiter([&] {
      // No deadline, which would end the sleep too.
      done = waiting.WaitAny({*from_near, *from_far}, MonotonicTime::InfiniteFuture());
      is_awake.Notify();
    });
    AwaitLongWait(waiting);
    const auto send_from = [&](bool from_near) {
      return group.worker(from_near ? near : far)
          .Send({Worker(0), TestTag(is_near), from_near ? to_near : to_far});
    };
    const auto send = send_from(is_near);
    ASSERT_OK(send.status());
    // Sooner than any sleep ends by itself, which is after a minute.
    const bool was_woken = is_awake.WaitForNotificationWithTimeout(Patience(4));
    if (!was_woken) group.fabrics[0]->Abort(absl::InternalError("it sleeps on"));
    waiter.join();
    ASSERT_TRUE(was_woken) << done.status();
    ASSERT_OK(done.status());
    EXPECT_EQ(*done, is_near ? 0 : 1);
    ASSERT_OK(group.worker(is_near ? near : far).Wait(*send, Soon()));
    // The other comes, too: memory is received to until then.
    const auto last = send_from(!is_near);
    ASSERT_OK(last.status());
    ASSERT_OK(waiting.Wait(is_near ? *from_far : *from_near, Soon()));
    ASSERT_OK(group.worker(is_near ? far : near).Wait(*last, Soon()));
  }
}

// The thread that looks at the sockets mostly finds the message before the helper does.
TEST_P(Hosts, AThreadThatLooksAtTheSocketsWakesTheOneWhoseMessageItFinds) {
  FabricGroup group = Join("spin");
  const int32_t far = Peer(false);
  Transport& transport = group.worker(0);
  std::atomic<bool> ends{false};
  std::array<std::byte, 8> never;
  const auto none = transport.Receive({Worker(far), TestTag(-1), absl::MakeSpan(never)});
  ASSERT_OK(none.status());
  std::thread looks([&] {
    while (!ends.load() && absl::IsDeadlineExceeded(
                               transport.Wait(*none, MonotonicNow() + absl::Microseconds(150)))) {
    }
  });
  for (int turn = 0; turn < 8 && !HasFailure(); ++turn) {
    std::array<std::byte, 8> in = {}, out = {};
    const auto receive = transport.Receive({Worker(far), TestTag(turn), absl::MakeSpan(in)});
    ASSERT_OK(receive.status());
    absl::Notification is_awake;
    std::thread sleeps([&] {
      transport.Wait(*receive, MonotonicTime::InfiniteFuture()).IgnoreError();
      is_awake.Notify();
    });
    AwaitLongWait(transport);
    const auto send = group.worker(far).Send({Worker(0), TestTag(turn), out});
    EXPECT_TRUE(send.ok() && group.worker(far).Wait(*send, Soon()).ok());
    EXPECT_TRUE(is_awake.WaitForNotificationWithTimeout(Patience(4))) << "turn " << turn;
    if (HasFailure()) group.fabrics[0]->Abort(absl::InternalError("it sleeps on"));
    sleeps.join();
  }
  ends.store(true);
  looks.join();
}

// One deadline for all turns, which take half a second where nothing else runs: every wake-up that
// is lost costs a tenth of a second at least.
TEST_P(Hosts, ThousandsOfTurnsOverWiresInTurnLoseNoWakeUp) {
  constexpr int kTurns = 2000;
  for (const char* wait : {"sleep", "spin"}) {
    FabricGroup group = Join(wait);
    const MonotonicTime deadline = MonotonicNow() + Patience(5);
    const std::array<int32_t, 2> peers = {Peer(true), Peer(false)};
    const auto play = [&](int32_t rank, int32_t turn, int32_t peer, bool begins) -> absl::Status {
      Transport& transport = group.worker(rank);
      std::array<std::byte, 64> out = {}, in = {};
      const auto receive = transport.Receive({Worker(peer), TestTag(turn), absl::MakeSpan(in)});
      if (!receive.ok()) return receive.status();
      absl::Status waited;
      if (!begins) waited = transport.Wait(*receive, deadline);
      if (!waited.ok()) return waited;
      const auto send = transport.Send({Worker(peer), TestTag(turn), out});
      if (!send.ok()) return send.status();
      waited = transport.Wait(*send, deadline);
      return waited.ok() && begins ? transport.Wait(*receive, deadline) : waited;
    };
    std::array<absl::Status, 3> statuses;
    std::vector<std::thread> threads;
    threads.emplace_back([&] {
      for (int turn = 0; turn < kTurns && statuses[0].ok(); ++turn)
        statuses[0] = play(0, turn, peers[turn % 2], true);
    });
    for (int i = 0; i < 2; ++i) {
      threads.emplace_back([&, i] {
        for (int turn = i; turn < kTurns && statuses[1 + i].ok(); turn += 2)
          statuses[1 + i] = play(peers[i], turn, 0, false);
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (const absl::Status& status : statuses) EXPECT_TRUE(status.ok()) << wait << ": " << status;
  }
}

// What message `index` from `a` to `b` holds: its floats, their value, and whether it is added.
struct Drawn {
  Drawn(int32_t a, int32_t b, int32_t index) {
    const uint64_t bits = MixSeed(MixSeed(31, a * 16 + b), index);
    const int64_t most = bits % 16 == 0 ? 80'000 : bits % 4 == 0 ? 4'000 : 60;
    floats = static_cast<int64_t>((bits >> 8) % most);
    value = static_cast<float>((bits >> 40) % 1000);
    adds = (bits >> 4) % 2 == 1;
    in_exchange = (bits >> 5) % 2 == 1;
  }
  int64_t floats;
  float value;
  bool adds;
  bool in_exchange;
};

// A thread of `rank` exchanges messages with `peer`, a window at a time; every thread waits for all
// that it has under way.
absl::Status Exchange(FabricGroup& group, int32_t rank, int32_t peer, int messages) {
  constexpr int kWindow = 16;
  constexpr int64_t kFloats = 80'000;
  Transport& transport = group.worker(rank);
  absl::StatusOr<Buffer> exchange =
      group.fabrics[rank]->AllocateExchange(kWindow * kFloats * sizeof(float));
  if (!exchange.ok()) return exchange.status();
  std::vector<float> ordinary(kWindow * kFloats), in(kWindow * kFloats);
  const auto bytes = [](float* data, int64_t floats) {
    return absl::MakeSpan(reinterpret_cast<std::byte*>(data), floats * sizeof(float));
  };
  for (int base = 0; base < messages; base += kWindow) {
    std::vector<OpId> left;
    for (int i = 0; i < kWindow; ++i) {
      const Drawn drawn(peer, rank, base + i);
      float* const place = in.data() + i * kFloats;
      std::fill_n(place, drawn.floats, drawn.adds ? 1.0f : -1.0f);
      const auto receive =
          transport.Receive({Worker(peer), TestTag(base + i), bytes(place, drawn.floats),
                             drawn.adds ? ReceiveMode::kAddFloat32 : ReceiveMode::kStore});
      if (!receive.ok()) return receive.status();
      left.push_back(*receive);
    }
    for (int i = 0; i < kWindow; ++i) {
      const Drawn drawn(rank, peer, base + i);
      float* const place = (drawn.in_exchange ? exchange->floats() : ordinary.data()) + i * kFloats;
      std::fill_n(place, drawn.floats, drawn.value);
      const auto send =
          transport.Send({Worker(peer), TestTag(base + i), bytes(place, drawn.floats)});
      if (!send.ok()) return send.status();
      left.push_back(*send);
    }
    while (!left.empty()) {
      const auto done = transport.WaitAny(left, Soon());
      if (!done.ok()) return done.status();
      left.erase(left.begin() + *done);
    }
    for (int i = 0; i < kWindow; ++i) {
      const Drawn drawn(peer, rank, base + i);
      const float expected = drawn.value + (drawn.adds ? 1.0f : 0.0f);
      const float* const place = in.data() + i * kFloats;
      if (std::count(place, place + drawn.floats, expected) != drawn.floats)
        return absl::DataLossError("a message came with other floats");
    }
  }
  return absl::OkStatus();
}

TEST_P(Hosts, ThousandsOfRandomMessagesOfManyThreadsComeAsTheyWereSent) {
  for (const char* wait : {"sleep", "spin"}) {
    FabricGroup group = Join(wait);
    std::vector<absl::Status> statuses(12);
    std::vector<std::thread> threads;
    for (int32_t rank = 0; rank < 4; ++rank) {
      for (int32_t peer = 0; peer < 4; ++peer) {
        if (peer == rank) continue;
        absl::Status* const status = &statuses[threads.size()];
        threads.emplace_back(
            [&group, rank, peer, status] { *status = Exchange(group, rank, peer, 320); });
      }
    }
    for (std::thread& thread : threads) thread.join();
    for (const absl::Status& status : statuses) EXPECT_TRUE(status.ok()) << wait << ": " << status;
  }
}

TEST_P(Hosts, WiresCountWhatTheKindsCount) {
  FabricGroup group = Join();
  const int32_t near = Peer(true), far = Peer(false);
  const auto meter = [&](int32_t rank) {
    return CreateMeteredTransport(group.worker(rank), *group.fabrics[rank],
                                  [](NodeId) { return false; });
  };
  const auto sender = meter(0);
  absl::StatusOr<Buffer> memory = group.fabrics[0]->AllocateExchange(40'000);
  ASSERT_OK(memory.status());
  const absl::Span<std::byte> lent(memory->data(), 40'000);
  for (const auto& [peer, wire] : {std::pair(near, "shm"), std::pair(far, "tcp")}) {
    const auto receiver = meter(peer);
    Bytes out(40'000);
    Loan loan;
    bool returned = false;
    const auto borrow =
        receiver->Receive({Worker(0), TestTag(1), absl::MakeSpan(out), ReceiveMode::kStore, &loan});
    const auto lend = sender->Send({Worker(peer), TestTag(1), lent, &returned});
    ASSERT_TRUE(borrow.ok() && lend.ok());
    ASSERT_OK(receiver->Wait(*borrow, Soon()));
    const bool is_borrowed = !loan.memory.empty();
    EXPECT_EQ(is_borrowed, peer == near);
    if (is_borrowed) receiver->Return(Worker(0), TestTag(1), loan);
    ASSERT_OK(sender->Wait(*lend, Soon()));
    const auto drain = sender->Send({Worker(peer), {MessageKind::kDrain, 0, 0, 2}, lent});
    ASSERT_OK(drain.status());
    ASSERT_OK(sender->Wait(*drain, Soon()));

    const Traffic sent = sender->traffic(), received = receiver->traffic();
    const int64_t back = is_borrowed ? 40'000 : 0;
    ASSERT_EQ(received.by_wire.size(), 1u);
    EXPECT_EQ(received.by_wire.count(wire), 1u) << wire;
    Traffic::Payload of_wire = sent.by_wire.at(wire);
    EXPECT_EQ(of_wire.sent_bytes[MessageKind::kTest], 40'000);
    EXPECT_EQ(of_wire.sent_bytes[MessageKind::kDrain], 40'000);
    EXPECT_EQ(of_wire.received_bytes[MessageKind::kTest], back);
    Traffic::Payload there = received.by_wire.at(wire);
    EXPECT_EQ(there.received_bytes[MessageKind::kTest], 40'000);
    EXPECT_EQ(there.sent_bytes[MessageKind::kTest], back);
  }
  const Traffic all = sender->traffic();
  int64_t sum = 0;
  for (const auto& [wire, payload] : all.by_wire) sum += payload.sent_bytes.at(MessageKind::kTest);
  EXPECT_EQ(all.by_wire.size(), 2u);
  EXPECT_EQ(sum, all.sent.at(MessageKind::kTest).payload_bytes);
}

TEST_P(Hosts, APeersEndIsNoticedOnEitherWireAndNamed) {
  for (const bool is_near : {true, false}) {
    FabricGroup group = Join();
    const int32_t peer = Peer(is_near);
    Bytes out(8);
    const auto receive =
        group.worker(0).Receive({Worker(Peer(!is_near)), TestTag(0), absl::MakeSpan(out)});
    ASSERT_OK(receive.status());
    absl::Status status;
    std::thread waiter([&] { status = group.worker(0).Wait(*receive, Soon()); });
    group.fabrics[peer].reset();
    waiter.join();
    EXPECT_TRUE(absl::IsUnavailable(status)) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), "connection to process")) << status;
  }
}

TEST_P(Hosts, AfterALossOnEitherWireBothWiresGoOn) {
  for (const bool is_near : {true, false}) {
    FabricGroup group = Join("sleep", /*outlives_peers=*/true);
    const int32_t lost = Peer(is_near);
    Bytes out(8);
    Received received;
    const auto receive =
        group.worker(0).Receive({Worker(lost), TestTag(0), absl::MakeSpan(out), &received});
    const Bytes large(8 << 20);
    const auto unread = group.worker(0).Send({Worker(lost), TestTag(0), large});
    ASSERT_TRUE(receive.ok() && unread.ok());
    group.fabrics[lost].reset();
    for (int32_t process = 0; process < 4; ++process) {
      if (process != lost) group.fabrics[process]->Forget(lost);
    }
    ASSERT_OK(group.worker(0).Wait(*receive, Soon()));
    EXPECT_TRUE(received.lost);
    ASSERT_OK(group.worker(0).Wait(*unread, Soon()));
    // Of those left two are on one host and one alone on its own.
    std::vector<int32_t> left;
    for (int32_t process = 0; process < 4; ++process) {
      if (process != lost) left.push_back(process);
    }
    std::vector<std::thread> threads;
    std::vector<absl::Status> statuses(6);
    for (const int32_t rank : left) {
      for (const int32_t peer : left) {
        if (rank == peer) continue;
        absl::Status* const status = &statuses[threads.size()];
        threads.emplace_back(
            [&group, rank, peer, status] { *status = Exchange(group, rank, peer, 32); });
      }
    }
    for (std::thread& thread : threads) thread.join();
    for (const absl::Status& status : statuses) EXPECT_TRUE(status.ok()) << status;
  }
}

TEST_P(Hosts, AnAbortWakesWhoeverWaitsOnEitherWire) {
  FabricGroup group = Join();
  std::vector<std::thread> threads;
  std::array<absl::Status, 2> statuses;
  std::array<Bytes, 2> outs = {Bytes(8), Bytes(8)};
  for (const bool is_near : {true, false}) {
    const auto receive =
        group.worker(0).Receive({Worker(Peer(is_near)), TestTag(0), absl::MakeSpan(outs[is_near])});
    ASSERT_OK(receive.status());
    threads.emplace_back([&group, &statuses, is_near, op = *receive] {
      statuses[is_near] = group.worker(0).Wait(op, Soon());
    });
  }
  group.fabrics[0]->Abort(absl::CancelledError("enough"));
  for (std::thread& thread : threads) thread.join();
  for (const absl::Status& status : statuses) EXPECT_TRUE(absl::IsCancelled(status)) << status;
}

INSTANTIATE_TEST_SUITE_P(All, Hosts, testing::ValuesIn(HostTransports()),
                         [](const auto& info) { return info.param; });

// One process alone on its host, two together on another.
TEST(HostsOfUnlikeSize, AProcessWithPairsOfOneKindIsPure) {
  FabricOptions options;
  SetTransport("hosts", &options);
  absl::StatusOr<FabricGroup> three = JoinFabrics(options, {1, 1, 1});
  ASSERT_OK(three.status());
  EXPECT_EQ(three->fabrics[0]->name(), "shm+tcp");
  EXPECT_EQ(three->fabrics[1]->name(), "shm+tcp");
  EXPECT_EQ(three->fabrics[2]->name(), "tcp");
  EXPECT_EQ(three->fabrics[2]->WireTo(Worker(0)), "tcp");
  absl::StatusOr<FabricGroup> two = JoinFabrics(options, {1, 1});
  ASSERT_OK(two.status());
  EXPECT_EQ(two->fabrics[0]->name(), "shm");
  EXPECT_EQ(two->fabrics[1]->name(), "shm");
}

}  // namespace
}  // namespace ringmaster
