#include "common/base/monotonic.h"
#include "common/collective/executor.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/partition.h"
#include "common/base/random.h"
#include "common/transport/fabric.h"
#include "common/transport/forwarding.h"
#include "common/transport/metered.h"
#include "common/transport/wake.h"
#include "common/vecmath/vecmath.h"
#include "gtest/gtest.h"
#include "tests/common/collective/executor_ranks.h"

namespace ringmaster {
namespace {

TEST(CollectiveExecutor, EveryScheduleLeavesTheSameBitsOnAllRanksOverManyStepsAndBuckets) {
  const std::vector<int64_t> buckets = {1003, 64, 3, 0, 1};
  for (int32_t ranks = 1; ranks <= 6; ++ranks) {
    const auto fabric = InprocFabric(ranks);
    std::vector<std::unique_ptr<CollectiveExecutor>> executors;
    for (int32_t rank = 0; rank < ranks; ++rank) {
      executors.push_back(std::make_unique<CollectiveExecutor>(
          fabric->transport({Role::kWorker, rank}), AllWorkers(ranks), kLimit));
    }
    int64_t step = 0;
    for (int round = 0; round < 3; ++round) {
      for (const CollectiveInfo& info : Collectives()) {
        SCOPED_TRACE(absl::StrCat(info.name, " ranks=", ranks, " step=", step));
        const auto schedule = Create(info.name);
        std::vector<std::vector<Floats>> given, data;
        for (size_t bucket = 0; bucket < buckets.size(); ++bucket) {
          given.push_back(RandomGradients(ranks, buckets[bucket], step * 10 + bucket));
        }
        data = given;
        OnAllRanks(ranks, step, [&](int32_t rank) {
          for (size_t bucket = 0; bucket < buckets.size(); ++bucket) {
            const absl::Status status =
                executors[rank]->AllReduce(*schedule, step, static_cast<int32_t>(bucket),
                                           ElementType::kFloat32, Bytes(data[bucket][rank]));
            EXPECT_TRUE(status.ok()) << status;
          }
        });
        for (size_t bucket = 0; bucket < buckets.size(); ++bucket) {
          const Floats expected = SumInRankOrder(given[bucket]);
          const bool in_rank_order =
              ranks <= 2 || schedule->name() == "direct" || schedule->name() == "reduce_broadcast";
          for (int32_t rank = 0; rank < ranks; ++rank) {
            EXPECT_EQ(data[bucket][rank], in_rank_order ? expected : data[bucket][0])
                << bucket << " on " << rank;
          }
          for (int64_t i = 0; i < buckets[bucket]; ++i) {
            double magnitude = 0;
            for (const Floats& gradient : given[bucket]) magnitude += std::fabs(gradient[i]);
            // Two sums in two orders: at most ranks - 1 roundings each, relative to the magnitudes
            // added.
            ASSERT_NEAR(data[bucket][0][i], expected[i], 2 * (ranks - 1) * 0x1p-24 * magnitude);
          }
        }
        ++step;
      }
    }
  }
}

// Passes everything but loans on to a node's transport, and fails the test when memory that the
// transport still holds is handed to it again: a receive into what is being sent or received, or a
// send of what is being received.
class WatchedTransport : public ForwardingTransport {
 public:
  explicit WatchedTransport(
      Transport& below, std::function<void()> before_send = [] {})
      : ForwardingTransport(below), before_send_(std::move(before_send)) {}

  absl::StatusOr<OpId> Send(const Outgoing& message) override {
    before_send_();
    return Hold(below_.Send(message.WithoutLoan()), message.payload, false);
  }
  absl::StatusOr<OpId> Receive(const Incoming& message) override {
    return Hold(below_.Receive(message.WithoutLoan()), message.out, true);
  }
  absl::Status Wait(OpId op, MonotonicTime deadline) override {
    const absl::Status status = below_.Wait(op, deadline);
    const bool goes_on = status.code() == absl::StatusCode::kDeadlineExceeded && !aborted_;
    if (goes_on) return status;
    EXPECT_EQ(held_.erase(op), 1u) << "waited for twice";
    return status;
  }
  absl::StatusOr<int> WaitAny(absl::Span<const OpId> ops, MonotonicTime deadline) override {
    absl::StatusOr<int> index = below_.WaitAny(ops, deadline);
    if (index.ok()) held_.erase(ops[*index]);
    return index;
  }
  void Abort(const absl::Status& why) override {
    aborted_ = true;
    below_.Abort(why);
  }

  size_t held() const { return held_.size(); }

 private:
  struct Held {
    absl::Span<const std::byte> memory;
    bool written = false;
  };

  absl::StatusOr<OpId> Hold(absl::StatusOr<OpId> op, absl::Span<const std::byte> memory,
                            bool written) {
    for (const auto& [other, held] : held_) {
      const bool apart = memory.data() + memory.size() <= held.memory.data() ||
                         held.memory.data() + held.memory.size() <= memory.data();
      EXPECT_TRUE(apart || (!written && !held.written))
          << "operation " << other << " still holds this memory";
    }
    if (op.ok()) held_[*op] = {memory, written};
    return op;
  }

  const std::function<void()> before_send_;
  std::map<OpId, Held> held_;
  bool aborted_ = false;
};

TEST(CollectiveExecutor, LendsNoMemoryTwiceAndLeavesNoOperationBehind) {
  for (int32_t ranks = 2; ranks <= 6; ++ranks) {
    for (const CollectiveInfo& info : Collectives()) {
      const auto schedule = Create(info.name);
      const auto fabric = InprocFabric(ranks);
      std::vector<Floats> data = RandomGradients(ranks, 103, 1);
      OnAllRanks(ranks, 6, [&](int32_t rank) {
        WatchedTransport watched(fabric->transport({Role::kWorker, rank}));
        CollectiveExecutor executor(watched, AllWorkers(ranks), kLimit);
        EXPECT_TRUE(
            executor.AllReduce(*schedule, 0, 0, ElementType::kFloat32, Bytes(data[rank])).ok());
        EXPECT_EQ(watched.held(), 0u) << info.name << " rank " << rank << " of " << ranks;
      });
    }
  }
  // Nor after an error.
  const auto fabric = InprocFabric(4);
  WatchedTransport watched(fabric->transport({Role::kWorker, 3}));
  CollectiveExecutor executor(watched, AllWorkers(4), absl::Milliseconds(5));
  Floats data(100, 1.0f);
  EXPECT_FALSE(
      executor.AllReduce(*Create("direct"), 0, 0, ElementType::kFloat32, Bytes(data)).ok());
  EXPECT_EQ(watched.held(), 0u);
}

ExecutorOptions SmallPieces() {
  ExecutorOptions options;
  options.wait_limit = kLimit;
  options.limits.in_flight_max = 3;
  options.piece_bytes = 64;
  options.limits.ahead_bytes = 100;
  return options;
}

TEST(CollectiveExecutor, PiecesAndCollectivesInFlightChangeNoBit) {
  const std::vector<int64_t> buckets = {1003, 64, 3, 0, 1, 517, 516, 515, 999};
  for (int32_t ranks = 1; ranks <= 7; ++ranks) {
    for (const CollectiveInfo& info : Collectives()) {
      SCOPED_TRACE(absl::StrCat(info.name, " ranks=", ranks));
      const auto schedule = Create(info.name);
      const auto fabric = InprocFabric(ranks);
      std::vector<std::vector<Floats>> whole;
      for (const int64_t count : buckets)
        whole.push_back(RandomGradients(ranks, count, ranks * 100 + count));
      auto pieces = whole;
      OnAllRanks(ranks, ranks, [&](int32_t rank) {
        WatchedTransport watched(fabric->transport({Role::kWorker, rank}));
        CollectiveExecutor one(watched, AllWorkers(ranks), kLimit);
        CollectiveExecutor many(watched, AllWorkers(ranks), SmallPieces());
        for (size_t bucket = 0; bucket < buckets.size(); ++bucket) {
          const absl::Status status =
              one.AllReduce(*schedule, 0, static_cast<int32_t>(bucket), ElementType::kFloat32,
                            Bytes(whole[bucket][rank]));
          ASSERT_TRUE(status.ok()) << status;
        }
        std::vector<CollectiveExecutor::Ticket> tickets;
        for (size_t bucket = 0; bucket < buckets.size(); ++bucket) {
          const auto ticket = many.Start(*schedule, 1, static_cast<int32_t>(bucket),
                                         ElementType::kFloat32, Bytes(pieces[bucket][rank]));
          ASSERT_TRUE(ticket.ok()) << ticket.status();
          tickets.push_back(*ticket);
          EXPECT_LE(many.in_flight(), 3);
        }
        EXPECT_TRUE(many.Finish(tickets[6]).ok());
        EXPECT_FALSE(many.InFlight(tickets[6]));
        EXPECT_TRUE(FinishAll(many).ok());
        EXPECT_EQ(watched.held(), 0u);
      });
      for (size_t bucket = 0; bucket < buckets.size(); ++bucket) {
        for (int32_t rank = 0; rank < ranks; ++rank) {
          EXPECT_EQ(pieces[bucket][rank], whole[bucket][0])
              << "bucket " << bucket << " on " << rank;
        }
      }
    }
  }
}

// Brings every message late by as many turns of the scheduler as its random numbers say, so that
// ranks overtake each other in every way. With an even seed it lends nothing.
class SlowTransport : public ForwardingTransport {
 public:
  SlowTransport(Transport& below, uint64_t seed)
      : ForwardingTransport(below), lends_(seed % 2 == 1), random_(seed) {}
  absl::StatusOr<OpId> Send(const Outgoing& message) override {
    for (uint64_t turns = random_.Below(20); turns > 0; --turns) std::this_thread::yield();
    return below_.Send(lends_ ? message : message.WithoutLoan());
  }

 private:
  const bool lends_;
  Random random_;
};

TEST(CollectiveExecutor, AnyInterleavingOfManyCollectivesEndsWithTheSameBits) {
  constexpr int32_t kRanks = 5;
  constexpr int kBuckets = 24;
  for (const uint64_t seed : {11, 12, 13, 14}) {
    for (const CollectiveInfo& info : Collectives()) {
      SCOPED_TRACE(absl::StrCat(info.name, " seed=", seed));
      const auto schedule = Create(info.name);
      const auto fabric = InprocFabric(kRanks);
      std::vector<std::vector<Floats>> data;
      for (int bucket = 0; bucket < kBuckets; ++bucket)
        data.push_back(RandomGradients(kRanks, 200 + bucket, bucket));
      const auto given = data;
      OnAllRanks(kRanks, seed, [&](int32_t rank) {
        SlowTransport slow(fabric->transport({Role::kWorker, rank}), seed * 100 + rank);
        CollectiveExecutor executor(slow, AllWorkers(kRanks), SmallPieces());
        for (int bucket = 0; bucket < kBuckets; ++bucket) {
          const auto ticket = executor.Start(*schedule, 0, bucket, ElementType::kFloat32,
                                             Bytes(data[bucket][rank]));
          ASSERT_TRUE(ticket.ok()) << ticket.status();
        }
        const absl::Status status = FinishAll(executor);
        EXPECT_TRUE(status.ok()) << status;
      });
      for (int bucket = 0; bucket < kBuckets; ++bucket) {
        for (int32_t rank = 1; rank < kRanks; ++rank)
          EXPECT_EQ(data[bucket][rank], data[bucket][0]);
        const Floats expected = SumInRankOrder(given[bucket]);
        for (size_t i = 0; i < expected.size(); ++i) {
          double magnitude = 0;
          for (const Floats& gradient : given[bucket]) magnitude += std::fabs(gradient[i]);
          ASSERT_NEAR(data[bucket][0][i], expected[i], 2 * (kRanks - 1) * 0x1p-24 * magnitude);
        }
      }
    }
  }
}

TEST(CollectiveExecutor, AnAbortInTheMiddleLeavesNoRankWaitingAndNoOperationBehind) {
  constexpr int32_t kRanks = 4;
  for (const CollectiveInfo& info : Collectives()) {
    for (int64_t sends = 0; sends < 40; sends += 7) {
      const auto schedule = Create(info.name);
      const auto fabric = InprocFabric(kRanks);
      std::vector<std::vector<Floats>> data;
      for (int bucket = 0; bucket < 6; ++bucket)
        data.push_back(RandomGradients(kRanks, 300, bucket));
      std::vector<absl::Status> statuses(kRanks);
      // Kept until all ranks are done: a peer may still be writing to one that has failed.
      std::vector<std::unique_ptr<CollectiveExecutor>> executors(kRanks);
      OnAllRanks(kRanks, sends, [&](int32_t rank) {
        // Rank 1 ends the run for all in the middle of its sends.
        WatchedTransport watched(fabric->transport({Role::kWorker, rank}),
                                 [&, left = sends]() mutable {
                                   if (rank == 1 && left-- == 0)
                                     fabric->Abort(absl::UnavailableError("worker/1 is gone"));
                                 });
        executors[rank] =
            std::make_unique<CollectiveExecutor>(watched, AllWorkers(kRanks), SmallPieces());
        CollectiveExecutor& executor = *executors[rank];
        for (int bucket = 0; bucket < 6 && statuses[rank].ok(); ++bucket) {
          statuses[rank] =
              executor.Start(*schedule, 0, bucket, ElementType::kFloat32, Bytes(data[bucket][rank]))
                  .status();
        }
        if (statuses[rank].ok()) statuses[rank] = FinishAll(executor);
        EXPECT_EQ(watched.held(), 0u) << info.name;
        EXPECT_EQ(executor.in_flight(), 0) << info.name;
      });
      // Rank 1 at least has seen it, and whoever has not was done before.
      EXPECT_EQ(statuses[1].code(), absl::StatusCode::kUnavailable) << info.name << " " << sends;
      EXPECT_TRUE(absl::StrContains(statuses[1].message(), "worker/1 is gone")) << statuses[1];
      EXPECT_TRUE(absl::StrContains(statuses[1].message(), " step=0 bucket=")) << statuses[1];
    }
  }
}

TEST(CollectiveExecutor, AlsoEndsAWaitAndTheCollectiveGoesOn) {
  const auto fabric = InprocFabric(2);
  Transport& transport = fabric->transport({Role::kWorker, 0});
  std::vector<Floats> data = RandomGradients(2, 100, 9);
  const Floats expected = SumInRankOrder(data);
  const auto ring = Create("ring");
  CollectiveExecutor executor(transport, AllWorkers(2), kLimit);
  Wake wake(transport, 0);
  ASSERT_TRUE(executor.Start(*ring, 0, 0, ElementType::kFloat32, Bytes(data[0])).ok());
  std::thread signaller([&] { wake.Signal(); });
  for (bool woken = false; !woken;) {
    const auto result = executor.Advance(*wake.Arm());
    ASSERT_TRUE(result.ok()) << result.status();
    woken = *result;  // else it was the send
  }
  signaller.join();
  EXPECT_EQ(executor.in_flight(), 1);
  std::thread peer([&] {
    CollectiveExecutor other(fabric->transport({Role::kWorker, 1}), AllWorkers(2), kLimit);
    EXPECT_TRUE(other.AllReduce(*ring, 0, 0, ElementType::kFloat32, Bytes(data[1])).ok());
  });
  EXPECT_TRUE(FinishAll(executor).ok());
  peer.join();
  EXPECT_EQ(data[0], expected);
  EXPECT_EQ(data[1], expected);
}

TEST(CollectiveExecutor, NoRankPassesABarrierBeforeTheLastHasReachedIt) {
  constexpr int32_t kRanks = 5;
  const auto fabric = InprocFabric(kRanks);
  std::atomic<int> reached{0};
  OnAllRanks(kRanks, 7, [&](int32_t rank) {
    CollectiveExecutor executor(fabric->transport({Role::kWorker, rank}), AllWorkers(kRanks),
                                kLimit);
    for (int64_t step = 0; step < 50; ++step) {
      for (int turns = (rank * 7 + step) % 11; turns > 0; --turns) std::this_thread::yield();
      reached.fetch_add(1);
      ASSERT_TRUE(executor.Barrier(step, 0).ok());
      EXPECT_GE(reached.load(), kRanks * (step + 1));
    }
  });
}

TEST(CollectiveExecutor, TheRingAddsChunkCFromRankCOnwards) {
  constexpr int32_t kRanks = 4;
  const auto fabric = InprocFabric(kRanks);
  const std::vector<Floats> given = RandomGradients(kRanks, 41, 5);
  std::vector<Floats> data = given;
  const auto ring = Create("ring");
  OnAllRanks(kRanks, 1, [&](int32_t rank) {
    CollectiveExecutor executor(fabric->transport({Role::kWorker, rank}), AllWorkers(kRanks),
                                kLimit);
    EXPECT_TRUE(executor.AllReduce(*ring, 0, 0, ElementType::kFloat32, Bytes(data[rank])).ok());
  });
  for (int32_t chunk = 0; chunk < kRanks; ++chunk) {
    const Range range = Part(41, kRanks, chunk);
    for (int64_t i = range.begin; i < range.end(); ++i) {
      float sum = given[chunk][i];
      for (int32_t k = 1; k < kRanks; ++k) sum += given[(chunk + k) % kRanks][i];
      for (int32_t rank = 0; rank < kRanks; ++rank)
        EXPECT_EQ(data[rank][i], sum) << "chunk " << chunk;
    }
  }
}

// This thread plays all ranks but one, so that it decides who comes first.
TEST(CollectiveExecutor, AddsInRankOrderWhateverTheOrderOfArrival) {
  constexpr int32_t kRanks = 4;
  const std::vector<Floats> given = RandomGradients(kRanks, 64, 3);
  const Floats expected = SumInRankOrder(given);
  for (const std::string name : {"reduce_broadcast", "direct"}) {
    const auto schedule = Create(name);
    for (int32_t rank = 0; rank < (name == "direct" ? kRanks : 1); ++rank) {
      const Range own = name == "direct" ? Part(64, kRanks, rank) : Range{0, 64};
      std::vector<int32_t> order;
      for (int32_t peer = 0; peer < kRanks; ++peer) {
        if (peer != rank) order.push_back(peer);
      }
      do {
        for (const bool early : {false, true}) {
          const auto fabric = InprocFabric(kRanks);
          Floats data = given[rank];
          std::thread thread;
          const auto run = [&] {
            CollectiveExecutor executor(fabric->transport({Role::kWorker, rank}),
                                        AllWorkers(kRanks), kLimit);
            const absl::Status status =
                executor.AllReduce(*schedule, 0, 0, ElementType::kFloat32, Bytes(data));
            EXPECT_TRUE(status.ok()) << status;
          };
          if (!early) thread = std::thread(run);
          Tag tag;
          tag.kind = MessageKind::kCollective;
          for (const int32_t peer : order) {
            Floats slice(given[peer].begin() + own.begin, given[peer].begin() + own.end());
            Transport& transport = fabric->transport({Role::kWorker, peer});
            const auto op = transport.Send({{Role::kWorker, rank}, tag, Bytes(slice)});
            ASSERT_TRUE(op.ok()) << op.status();
            ASSERT_TRUE(transport.Wait(*op, MonotonicNow() + kLimit).ok());
          }
          tag.round = 1;
          for (const int32_t peer : order) {
            if (name != "direct") break;
            Floats chunk(Part(64, kRanks, peer).count, 0.0f);
            Transport& transport = fabric->transport({Role::kWorker, peer});
            const auto op = transport.Send({{Role::kWorker, rank}, tag, Bytes(chunk)});
            ASSERT_TRUE(op.ok()) << op.status();
            ASSERT_TRUE(transport.Wait(*op, MonotonicNow() + kLimit).ok());
          }
          if (early) thread = std::thread(run);
          thread.join();
          for (int64_t i = own.begin; i < own.end(); ++i)
            ASSERT_EQ(data[i], expected[i]) << name << " rank " << rank;
        }
      } while (std::next_permutation(order.begin(), order.end()));
    }
  }
}

TEST(CollectiveExecutor, HalvesAreSummedAsHalvesInTheSameOrder) {
  constexpr int32_t kRanks = 3;
  const auto fabric = InprocFabric(kRanks);
  const std::vector<Floats> given = RandomGradients(kRanks, 50, 8);
  std::vector<std::vector<uint16_t>> halves(kRanks, std::vector<uint16_t>(50));
  for (int32_t rank = 0; rank < kRanks; ++rank)
    ToFloat16(given[rank], absl::MakeSpan(halves[rank]));
  std::vector<uint16_t> expected = halves[0];
  for (int32_t rank = 1; rank < kRanks; ++rank) AddFloat16(halves[rank], absl::MakeSpan(expected));
  const auto direct = Create("direct");
  const auto ring = Create("ring");
  auto ringed = halves;
  OnAllRanks(kRanks, 2, [&](int32_t rank) {
    CollectiveExecutor executor(fabric->transport({Role::kWorker, rank}), AllWorkers(kRanks),
                                kLimit);
    EXPECT_TRUE(executor.AllReduce(*direct, 0, 0, ElementType::kFloat16, Bytes(halves[rank])).ok());
    EXPECT_TRUE(executor.AllReduce(*ring, 1, 0, ElementType::kFloat16, Bytes(ringed[rank])).ok());
  });
  for (int32_t rank = 0; rank < kRanks; ++rank) {
    EXPECT_EQ(halves[rank], expected) << rank;
    EXPECT_EQ(ringed[rank], ringed[0]) << rank;
  }
}

TEST(CollectiveExecutor, SendsExactlyTheBytesOfTheFormula) {
  for (const int32_t ranks : {2, 3, 5}) {
    for (const CollectiveInfo& info : Collectives()) {
      const auto schedule = Create(info.name);
      const auto fabric = InprocFabric(ranks);
      std::vector<Floats> data = RandomGradients(ranks, 1003, 1);
      OnAllRanks(ranks, 3, [&](int32_t rank) {
        const auto metered = CreateMeteredTransport(fabric->transport({Role::kWorker, rank}),
                                                    *fabric, [](NodeId) { return false; });
        CollectiveExecutor executor(*metered, AllWorkers(ranks), kLimit);
        EXPECT_TRUE(
            executor.AllReduce(*schedule, 0, 0, ElementType::kFloat32, Bytes(data[rank])).ok());
        EXPECT_EQ(metered->traffic().sent[MessageKind::kCollective].payload_bytes,
                  SentBytes(*schedule, rank, ranks, 1003, 4))
            << info.name << " rank " << rank << " of " << ranks;
      });
    }
  }
}

TEST(CollectiveExecutor, AllGatherBringsEveryMessageInItsOwnSize) {
  constexpr int32_t kRanks = 4;
  const auto fabric = InprocFabric(kRanks);
  OnAllRanks(kRanks, 4, [&](int32_t rank) {
    CollectiveExecutor executor(fabric->transport({Role::kWorker, rank}), AllWorkers(kRanks),
                                kLimit);
    for (int64_t step = 0; step < 5; ++step) {
      // Rank r sends 3r bytes: rank 0 none at all.
      std::vector<uint8_t> own(3 * rank, static_cast<uint8_t>(10 * step + rank));
      std::vector<std::vector<uint8_t>> memory(kRanks, std::vector<uint8_t>(64, 0xEE));
      std::vector<absl::Span<std::byte>> received;
      for (auto& message : memory) received.push_back(Bytes(message));
      const absl::Status status = executor.AllGather(step, 7, Bytes(own), absl::MakeSpan(received));
      ASSERT_TRUE(status.ok()) << status;
      for (int32_t peer = 0; peer < kRanks; ++peer) {
        const size_t size = peer == rank ? 64 : 3 * peer;
        ASSERT_EQ(received[peer].size(), size);
        for (const std::byte byte : received[peer]) {
          ASSERT_EQ(static_cast<int>(byte),
                    peer == rank ? 0xEE : static_cast<int>(10 * step + peer));
        }
      }
    }
  });
}

}  // namespace
}  // namespace ringmaster
