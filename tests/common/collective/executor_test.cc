#include "common/collective/executor.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/partition.h"
#include "common/base/random.h"
#include "common/transport/fabric.h"
#include "common/transport/metered.h"
#include "common/vecmath/vecmath.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

using Floats = std::vector<float>;
constexpr absl::Duration kLimit = absl::Seconds(30);

std::unique_ptr<Fabric> InprocFabric(int32_t ranks) {
  FabricOptions options;
  options.name = "inproc";
  absl::StatusOr<std::unique_ptr<Fabric>> fabric = CreateFabric(options);
  EXPECT_TRUE(fabric.ok()) << fabric.status();
  ProcessAddress all;
  for (int32_t rank = 0; rank < ranks; ++rank) all.nodes.push_back({Role::kWorker, rank});
  const absl::Status connected = (*fabric)->Connect({all}, 0, absl::Now() + kLimit);
  EXPECT_TRUE(connected.ok()) << connected;
  return *std::move(fabric);
}

std::unique_ptr<Schedule> Create(const std::string& name) {
  absl::StatusOr<std::unique_ptr<Schedule>> schedule = CreateSchedule(name);
  EXPECT_TRUE(schedule.ok()) << schedule.status();
  return *std::move(schedule);
}

template <typename T>
absl::Span<std::byte> Bytes(std::vector<T>& values) {
  return absl::MakeSpan(reinterpret_cast<std::byte*>(values.data()), values.size() * sizeof(T));
}

std::vector<Floats> RandomGradients(int32_t ranks, int64_t count, uint64_t seed) {
  std::vector<Floats> gradients(ranks, Floats(count));
  Random random(seed);
  for (Floats& gradient : gradients) {
    for (float& value : gradient) value = random.Normal() * (1 + 1000 * random.Uniform());
  }
  return gradients;
}

Floats SumInRankOrder(const std::vector<Floats>& gradients) {
  Floats sum = gradients[0];
  for (size_t rank = 1; rank < gradients.size(); ++rank) Add(gradients[rank], absl::MakeSpan(sum));
  return sum;
}

// One thread a rank, started in an order of its own; returns when all are done.
template <typename Body>
void OnAllRanks(int32_t ranks, uint64_t seed, Body body) {
  std::vector<int32_t> order(ranks);
  for (int32_t i = 0; i < ranks; ++i) order[i] = i;
  Random random(seed);
  for (int32_t i = ranks - 1; i > 0; --i) std::swap(order[i], order[random.Below(i + 1)]);
  std::vector<std::thread> threads;
  for (const int32_t rank : order) threads.emplace_back([rank, &body] { body(rank); });
  for (std::thread& thread : threads) thread.join();
}

TEST(CollectiveExecutor, EveryScheduleLeavesTheSameBitsOnAllRanksOverManyStepsAndBuckets) {
  const std::vector<int64_t> buckets = {1003, 64, 3, 0, 1};
  for (int32_t ranks = 1; ranks <= 6; ++ranks) {
    const auto fabric = InprocFabric(ranks);
    std::vector<std::unique_ptr<CollectiveExecutor>> executors;
    for (int32_t rank = 0; rank < ranks; ++rank) {
      executors.push_back(std::make_unique<CollectiveExecutor>(fabric->transport({Role::kWorker, rank}), rank, ranks,
                                                               kLimit));
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
            const absl::Status status = executors[rank]->AllReduce(
                *schedule, step, static_cast<int32_t>(bucket), ElementType::kFloat32, Bytes(data[bucket][rank]));
            EXPECT_TRUE(status.ok()) << status;
          }
        });
        for (size_t bucket = 0; bucket < buckets.size(); ++bucket) {
          const Floats expected = SumInRankOrder(given[bucket]);
          const bool in_rank_order = ranks <= 2 || schedule->name() != "ring";
          for (int32_t rank = 0; rank < ranks; ++rank) {
            EXPECT_EQ(data[bucket][rank], in_rank_order ? expected : data[bucket][0]) << bucket << " on " << rank;
          }
          for (int64_t i = 0; i < buckets[bucket]; ++i) {
            double magnitude = 0;
            for (const Floats& gradient : given[bucket]) magnitude += std::fabs(gradient[i]);
            // Two sums in two orders: at most ranks - 1 roundings each, relative to the magnitudes added.
            ASSERT_NEAR(data[bucket][0][i], expected[i], 2 * (ranks - 1) * 0x1p-24 * magnitude);
          }
        }
        ++step;
      }
    }
  }
}

// Passes everything on to a node's transport, and fails the test when memory that the transport still holds is lent out
// again: a receive into what is being sent or received, or a send of what is being received.
class WatchedTransport : public Transport {
 public:
  explicit WatchedTransport(Transport& transport) : transport_(transport) {}

  NodeId self() const override { return transport_.self(); }
  absl::StatusOr<OpId> StartSend(NodeId to, Tag tag, absl::Span<const std::byte> payload) override {
    return Lend(transport_.StartSend(to, tag, payload), payload, false);
  }
  absl::StatusOr<OpId> Post(NodeId from, Tag tag, absl::Span<std::byte> out, ReceiveMode mode) override {
    return Lend(transport_.Post(from, tag, out, mode), out, true);
  }
  absl::StatusOr<OpId> PostUpTo(NodeId from, Tag tag, absl::Span<std::byte> out, Received* received) override {
    return Lend(transport_.PostUpTo(from, tag, out, received), out, true);
  }
  absl::Status Wait(OpId op, absl::Time deadline) override {
    EXPECT_EQ(lent_.erase(op), 1u) << "waited for twice";
    return transport_.Wait(op, deadline);
  }
  absl::StatusOr<int> WaitAny(absl::Span<const OpId> ops, absl::Time deadline) override {
    absl::StatusOr<int> index = transport_.WaitAny(ops, deadline);
    if (index.ok()) lent_.erase(ops[*index]);
    return index;
  }
  void Abort(const absl::Status& why) override { transport_.Abort(why); }

  size_t lent() const { return lent_.size(); }

 private:
  struct Loan {
    absl::Span<const std::byte> memory;
    bool written = false;
  };

  absl::StatusOr<OpId> Lend(absl::StatusOr<OpId> op, absl::Span<const std::byte> memory, bool written) {
    for (const auto& [other, loan] : lent_) {
      const bool apart = memory.data() + memory.size() <= loan.memory.data() ||
                         loan.memory.data() + loan.memory.size() <= memory.data();
      EXPECT_TRUE(apart || (!written && !loan.written)) << "operation " << other << " still holds this memory";
    }
    if (op.ok()) lent_[*op] = {memory, written};
    return op;
  }

  Transport& transport_;
  std::map<OpId, Loan> lent_;
};

TEST(CollectiveExecutor, LendsNoMemoryTwiceAndLeavesNoOperationBehind) {
  for (int32_t ranks = 2; ranks <= 6; ++ranks) {
    for (const CollectiveInfo& info : Collectives()) {
      const auto schedule = Create(info.name);
      const auto fabric = InprocFabric(ranks);
      std::vector<Floats> data = RandomGradients(ranks, 103, 1);
      OnAllRanks(ranks, 6, [&](int32_t rank) {
        WatchedTransport watched(fabric->transport({Role::kWorker, rank}));
        CollectiveExecutor executor(watched, rank, ranks, kLimit);
        EXPECT_TRUE(executor.AllReduce(*schedule, 0, 0, ElementType::kFloat32, Bytes(data[rank])).ok());
        EXPECT_EQ(watched.lent(), 0u) << info.name << " rank " << rank << " of " << ranks;
      });
    }
  }
  // Nor after an error.
  const auto fabric = InprocFabric(4);
  WatchedTransport watched(fabric->transport({Role::kWorker, 3}));
  CollectiveExecutor executor(watched, 3, 4, absl::Milliseconds(5));
  Floats data(100, 1.0f);
  EXPECT_FALSE(executor.AllReduce(*Create("direct"), 0, 0, ElementType::kFloat32, Bytes(data)).ok());
  EXPECT_EQ(watched.lent(), 0u);
}

TEST(CollectiveExecutor, TheRingAddsChunkCFromRankCOnwards) {
  constexpr int32_t kRanks = 4;
  const auto fabric = InprocFabric(kRanks);
  const std::vector<Floats> given = RandomGradients(kRanks, 41, 5);
  std::vector<Floats> data = given;
  const auto ring = Create("ring");
  OnAllRanks(kRanks, 1, [&](int32_t rank) {
    CollectiveExecutor executor(fabric->transport({Role::kWorker, rank}), rank, kRanks, kLimit);
    EXPECT_TRUE(executor.AllReduce(*ring, 0, 0, ElementType::kFloat32, Bytes(data[rank])).ok());
  });
  for (int32_t chunk = 0; chunk < kRanks; ++chunk) {
    const Range range = Part(41, kRanks, chunk);
    for (int64_t i = range.begin; i < range.end(); ++i) {
      float sum = given[chunk][i];
      for (int32_t k = 1; k < kRanks; ++k) sum += given[(chunk + k) % kRanks][i];
      for (int32_t rank = 0; rank < kRanks; ++rank) EXPECT_EQ(data[rank][i], sum) << "chunk " << chunk;
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
            CollectiveExecutor executor(fabric->transport({Role::kWorker, rank}), rank, kRanks, kLimit);
            const absl::Status status = executor.AllReduce(*schedule, 0, 0, ElementType::kFloat32, Bytes(data));
            EXPECT_TRUE(status.ok()) << status;
          };
          if (!early) thread = std::thread(run);
          Tag tag;
          tag.kind = MessageKind::kCollective;
          for (const int32_t peer : order) {
            Floats slice(given[peer].begin() + own.begin, given[peer].begin() + own.end());
            Transport& transport = fabric->transport({Role::kWorker, peer});
            const auto op = transport.StartSend({Role::kWorker, rank}, tag, Bytes(slice));
            ASSERT_TRUE(op.ok()) << op.status();
            ASSERT_TRUE(transport.Wait(*op, absl::Now() + kLimit).ok());
          }
          tag.round = 1;
          for (const int32_t peer : order) {
            if (name != "direct") break;
            Floats chunk(Part(64, kRanks, peer).count, 0.0f);
            Transport& transport = fabric->transport({Role::kWorker, peer});
            const auto op = transport.StartSend({Role::kWorker, rank}, tag, Bytes(chunk));
            ASSERT_TRUE(op.ok()) << op.status();
            ASSERT_TRUE(transport.Wait(*op, absl::Now() + kLimit).ok());
          }
          if (early) thread = std::thread(run);
          thread.join();
          for (int64_t i = own.begin; i < own.end(); ++i) ASSERT_EQ(data[i], expected[i]) << name << " rank " << rank;
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
  for (int32_t rank = 0; rank < kRanks; ++rank) ToFloat16(given[rank], absl::MakeSpan(halves[rank]));
  std::vector<uint16_t> expected = halves[0];
  for (int32_t rank = 1; rank < kRanks; ++rank) AddFloat16(halves[rank], absl::MakeSpan(expected));
  const auto direct = Create("direct");
  const auto ring = Create("ring");
  auto ringed = halves;
  OnAllRanks(kRanks, 2, [&](int32_t rank) {
    CollectiveExecutor executor(fabric->transport({Role::kWorker, rank}), rank, kRanks, kLimit);
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
        const auto metered = CreateMeteredTransport(fabric->transport({Role::kWorker, rank}), *fabric,
                                                    [](NodeId) { return false; });
        CollectiveExecutor executor(*metered, rank, ranks, kLimit);
        EXPECT_TRUE(executor.AllReduce(*schedule, 0, 0, ElementType::kFloat32, Bytes(data[rank])).ok());
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
    CollectiveExecutor executor(fabric->transport({Role::kWorker, rank}), rank, kRanks, kLimit);
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
          ASSERT_EQ(static_cast<int>(byte), peer == rank ? 0xEE : static_cast<int>(10 * step + peer));
        }
      }
    }
  });
}

TEST(CollectiveExecutor, ADeadlineNamesCollectiveStepBucketRoundAndPeer) {
  const auto fabric = InprocFabric(3);
  CollectiveExecutor executor(fabric->transport({Role::kWorker, 0}), 0, 3, absl::Milliseconds(20));
  Floats data(9, 1.0f);
  const auto ring = Create("ring");
  const absl::Status status = executor.AllReduce(*ring, 12, 3, ElementType::kFloat32, Bytes(data));
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(absl::StrContains(status.message(), "ring step=12 bucket=3 round=0 peer=worker/2: ")) << status;
  // Half a sum cannot be taken up again: from now on it is this error.
  const absl::Status again = executor.AllReduce(*ring, 13, 3, ElementType::kFloat32, Bytes(data));
  EXPECT_EQ(again.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(absl::StrContains(again.message(), "ring step=12 bucket=3 round=0 peer=worker/2: ")) << again;
}

TEST(CollectiveExecutor, AMessageOfAnotherSizeIsRefusedAndNamesItsSender) {
  for (const bool gather : {false, true}) {
    const auto fabric = InprocFabric(2);
    Transport& peer = fabric->transport({Role::kWorker, 1});
    Floats wrong(100, 1.0f);
    Tag tag;
    tag.kind = MessageKind::kCollective;
    tag.step = gather ? 1 : 0;
    ASSERT_TRUE(peer.StartSend({Role::kWorker, 0}, tag, Bytes(wrong)).ok());
    Floats data(10, 1.0f);
    std::vector<absl::Span<std::byte>> received = {{}, Bytes(data)};
    CollectiveExecutor executor(fabric->transport({Role::kWorker, 0}), 0, 2, kLimit);
    const absl::Status status =
        gather ? executor.AllGather(1, 0, Bytes(data), absl::MakeSpan(received))
               : executor.AllReduce(*Create("ring"), 0, 0, ElementType::kFloat32, Bytes(data));
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), "round=0 peer=worker/1: ")) << status;
  }
}

TEST(CollectiveExecutor, AnAbortEndsACollectiveThatWaits) {
  const auto fabric = InprocFabric(2);
  Floats data(10, 1.0f);
  absl::Status status;
  std::thread thread([&] {
    CollectiveExecutor executor(fabric->transport({Role::kWorker, 0}), 0, 2, kLimit);
    status = executor.AllReduce(*Create("direct"), 4, 2, ElementType::kFloat32, Bytes(data));
  });
  fabric->Abort(absl::UnavailableError("worker/1 is gone"));
  thread.join();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(absl::StrContains(status.message(), "worker/1 is gone")) << status;
}

}  // namespace
}  // namespace ringmaster
