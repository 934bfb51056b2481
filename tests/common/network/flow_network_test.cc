// What the fluid says of messages that share cards, by times computed on paper.
#include "common/network/flow_network.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/time/time.h"
#include "common/base/random.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

NodeId Worker(int32_t rank) { return {Role::kWorker, rank}; }

constexpr int64_t kMillisecond = 1'000'000;
constexpr int64_t kBytes = 1'000'000;  // a millisecond at 1e9 bytes a second

// A network of processes with a worker each, and what it has said of messages, named by their keys.
class Network {
 public:
  Network(const NetworkShape& shape, int32_t workers) {
    std::vector<std::vector<NodeId>> processes;
    for (int32_t rank = 0; rank < workers; ++rank) processes.push_back({Worker(rank)});
    absl::StatusOr<NetworkPlan> plan = PlanNetwork(shape, processes);
    EXPECT_TRUE(plan.ok()) << plan.status();
    plan_ = *std::move(plan);
    memory_.resize(FlowNetwork::StateBytes(plan_) + 64);
    const size_t skip = 64 - reinterpret_cast<uintptr_t>(memory_.data()) % 64;
    network_ = std::make_unique<FlowNetwork>(plan_, absl::MakeSpan(memory_).subspan(skip));
  }

  void Start(uint64_t key, int32_t from, int32_t to, int64_t bytes, Nanoseconds now) {
    const absl::Status status =
        network_->Start(from, to, {key, Worker(from), Worker(to), bytes}, now);
    ASSERT_TRUE(status.ok()) << status;
  }

  // Lets the time pass and notes the outcomes of messages.
  void Advance(Nanoseconds now) {
    network_->Advance(now);
    for (int32_t process = 0; process < plan_.processes(); ++process) {
      network_->TakeNotices(process, [&](const FlowNetwork::Notice& notice) {
        EXPECT_EQ(notice.has_left ? notice.message.from : notice.message.to, Worker(process));
        auto& times = notice.has_left ? left_ : arrived_;
        EXPECT_TRUE(times.emplace(notice.message.key, notice.time).second) << "told twice";
      });
    }
  }

  double LeftMs(uint64_t key) const { return Milliseconds(left_, key); }
  double ArrivedMs(uint64_t key) const { return Milliseconds(arrived_, key); }
  FlowNetwork& network() { return *network_; }

 private:
  static double Milliseconds(const std::map<uint64_t, Nanoseconds>& times, uint64_t key) {
    const auto found = times.find(key);
    return found == times.end() ? -1 : static_cast<double>(found->second) / kMillisecond;
  }

  NetworkPlan plan_;
  std::vector<std::byte> memory_;
  std::unique_ptr<FlowNetwork> network_;
  std::map<uint64_t, Nanoseconds> left_;
  std::map<uint64_t, Nanoseconds> arrived_;
};

constexpr double kNear = 1e-4;  // ms: rounding to nanoseconds, a few times
constexpr Nanoseconds kLater = 1'000'000'000;

NetworkShape Rate(double bytes_per_second) {
  NetworkShape shape;
  shape.rate = bytes_per_second;
  return shape;
}

TEST(FlowNetwork, LoneMessageTakesItsBytesOnceAndTheLatency) {
  NetworkShape shape = Rate(1e9);
  shape.latency = absl::Milliseconds(5);
  Network network(shape, 2);
  network.Start(1, 0, 1, 3 * kBytes, 2 * kMillisecond);
  network.Advance(kLater);
  EXPECT_NEAR(network.LeftMs(1), 5, kNear);
  EXPECT_NEAR(network.ArrivedMs(1), 10, kNear);
}

TEST(FlowNetwork, IncastSharesTheReceiversCardWhoeverSends) {
  Network network(Rate(1e9), 5);
  for (int32_t sender = 1; sender < 5; ++sender) network.Start(sender, sender, 0, kBytes, 0);
  network.Advance(kLater);
  for (int32_t sender = 1; sender < 5; ++sender) EXPECT_NEAR(network.ArrivedMs(sender), 4, kNear);
}

TEST(FlowNetwork, OneSenderToManySharesItsOwnCardEvenly) {
  Network network(Rate(1e9), 5);
  for (int32_t receiver = 1; receiver < 5; ++receiver)
    network.Start(receiver, 0, receiver, kBytes, 0);
  network.Advance(kLater);
  for (int32_t receiver = 1; receiver < 5; ++receiver)
    EXPECT_NEAR(network.LeftMs(receiver), 4, kNear);
}

TEST(FlowNetwork, BothDirectionsOfACardAreIndependent) {
  Network network(Rate(1e9), 2);
  network.Start(1, 0, 1, kBytes, 0);
  network.Start(2, 1, 0, kBytes, 0);
  network.Advance(kLater);
  EXPECT_NEAR(network.ArrivedMs(1), 1, kNear);
  EXPECT_NEAR(network.ArrivedMs(2), 1, kNear);
}

TEST(FlowNetwork, MessagesBetweenTwoProcessesGoOneBehindTheOther) {
  Network network(Rate(1e9), 2);
  network.Start(1, 0, 1, 2 * kBytes, 0);
  network.Start(2, 0, 1, kBytes, 0);
  network.Advance(kLater);
  EXPECT_NEAR(network.ArrivedMs(1), 2, kNear);
  EXPECT_NEAR(network.ArrivedMs(2), 3, kNear);
}

// Two flows into worker 0, one of which also shares its sender's card: 1/3 each for the three of
// worker 1, so worker 2 has the other two thirds.
TEST(FlowNetwork, SharesAreMaxMinFair) {
  Network network(Rate(1e9), 5);
  network.Start(1, 1, 0, kBytes, 0);
  network.Start(2, 1, 3, kBytes, 0);
  network.Start(3, 1, 4, kBytes, 0);
  network.Start(4, 2, 0, 2 * kBytes, 0);
  network.Advance(kLater);
  for (uint64_t key : {1, 2, 3, 4}) EXPECT_NEAR(network.ArrivedMs(key), 3, kNear) << key;
}

TEST(FlowNetwork, FlowThatEndsLeavesItsShareToTheOthers) {
  Network network(Rate(1e9), 3);
  network.Start(1, 1, 0, kBytes, 0);
  network.Start(2, 2, 0, 3 * kBytes, 0);
  network.Advance(kLater);
  EXPECT_NEAR(network.ArrivedMs(1), 2, kNear);
  EXPECT_NEAR(network.ArrivedMs(2), 4, kNear);  // 1 MB by 2 ms, and 2 MB alone
}

TEST(FlowNetwork, LateComerSlowsWhoIsUnderWay) {
  Network network(Rate(1e9), 3);
  network.Start(1, 1, 0, 2 * kBytes, 0);
  network.Start(2, 2, 0, 2 * kBytes, kMillisecond);
  network.Advance(kLater);
  EXPECT_NEAR(network.ArrivedMs(1), 3, kNear);
  EXPECT_NEAR(network.ArrivedMs(2), 4, kNear);
}

TEST(FlowNetwork, CardsAndLinksOfTheirOwnHold) {
  NetworkShape shape = Rate(1e9);
  shape.latency = absl::Milliseconds(1);
  shape.cards = {{Worker(0), 1e9, 0.25e9}};
  shape.links = {{Worker(1), Worker(2), 0.5e9, absl::Milliseconds(7), absl::ZeroDuration()}};
  Network network(shape, 3);
  network.Start(1, 1, 0, kBytes, 0);
  network.Start(2, 0, 2, kBytes, 0);
  network.Start(3, 1, 2, kBytes, 0);
  network.Advance(kLater);
  EXPECT_NEAR(network.ArrivedMs(1), 5, kNear);
  EXPECT_NEAR(network.ArrivedMs(2), 3, kNear);  // half of worker 2's card
  EXPECT_NEAR(network.ArrivedMs(3), 9, kNear);
}

NetworkShape InRacks(int32_t workers_each, double uplink, absl::Duration latency = {}) {
  NetworkShape shape = Rate(1e9);
  shape.racks = NetworkShape::Racks{workers_each, uplink, latency, false};
  return shape;
}

// Racks {0, 1}, {2, 3}, {4}.
TEST(FlowNetwork, WhatLeavesARackSharesItsUplinkEachWay) {
  Network network(InRacks(2, 0.5e9, absl::Milliseconds(3)), 5);
  network.Start(1, 0, 2, kBytes, 0);  // with 2 out of the first rack: a quarter of a card each
  network.Start(2, 1, 4, kBytes, 0);
  network.Start(3, 3, 1, kBytes, 0);  // the other way of the same uplink
  network.Start(4, 1, 0, kBytes, 0);  // within a rack: what 2 leaves of the card of worker 1
  network.Advance(kLater);
  EXPECT_NEAR(network.ArrivedMs(1), 4 + 3, kNear);
  EXPECT_NEAR(network.ArrivedMs(2), 4 + 3, kNear);
  EXPECT_NEAR(network.ArrivedMs(3), 2 + 3, kNear);
  EXPECT_NEAR(network.ArrivedMs(4), 4.0 / 3, kNear);
}

// Three flows share the uplink of worker 0; into the rack of worker 3 the flow of worker 1 takes
// what the slow one of them leaves there.
TEST(FlowNetwork, UplinksOfBothRacksHoldMaxMinFairly) {
  Network network(InRacks(1, 0.5e9), 4);
  network.Start(1, 0, 3, kBytes, 0);
  network.Start(2, 0, 2, kBytes, 0);
  network.Start(3, 0, 1, kBytes, 0);
  network.Start(4, 1, 3, kBytes, 0);
  network.Advance(kLater);
  for (const uint64_t key : {1, 2, 3}) EXPECT_NEAR(network.ArrivedMs(key), 6, kNear) << key;
  EXPECT_NEAR(network.ArrivedMs(4), 3, kNear);
}

TEST(PlanNetwork, PutsProcessesIntoTheRackOfTheirFirstWorkerAndServersByTheRule) {
  const auto server = [](int32_t index) { return NodeId{Role::kServer, index}; };
  const std::vector<std::vector<NodeId>> processes = {
      {Worker(0), server(0)}, {Worker(1)}, {Worker(2)}, {server(1)}, {server(2)}};
  NetworkShape shape = InRacks(2, 1e9, absl::Milliseconds(1));
  shape.latency = absl::Milliseconds(5);
  const NetworkPlan spread = *PlanNetwork(shape, processes);
  EXPECT_EQ(spread.racks, (std::vector<int32_t>{0, 0, 1, 1, 0}));
  EXPECT_EQ(spread.uplinks.size(), 2u);
  EXPECT_EQ(spread.link(0, 1).latency, 5 * kMillisecond);
  EXPECT_EQ(spread.link(0, 2).latency, 6 * kMillisecond);
  shape.racks->servers_in_first = true;
  EXPECT_EQ(PlanNetwork(shape, processes)->racks, (std::vector<int32_t>{0, 0, 1, 0, 0}));
}

TEST(FlowNetwork, WithoutLimitsOrBytesOnlyLatencyTakesTime) {
  NetworkShape shape;
  shape.latency = absl::Milliseconds(5);
  Network unlimited(shape, 2);
  unlimited.Start(1, 0, 1, kBytes, kMillisecond);
  unlimited.Advance(kMillisecond);
  EXPECT_NEAR(unlimited.LeftMs(1), 1, kNear);
  EXPECT_NEAR(unlimited.ArrivedMs(1), 6, kNear);
  Network empty(Rate(1e9), 2);
  empty.Start(1, 0, 1, kBytes, 0);
  empty.Start(2, 0, 1, 0, 0);
  empty.Start(3, 1, 0, 0, 0);
  empty.Advance(kLater);
  EXPECT_NEAR(empty.ArrivedMs(2), 1, kNear);  // behind the one before it
  EXPECT_NEAR(empty.ArrivedMs(3), 0, kNear);
}

TEST(FlowNetwork, JitterIsSeededWithinItsBoundAndNeverReordersAFlow) {
  NetworkShape shape;
  shape.latency = absl::Milliseconds(2);
  shape.jitter = absl::Milliseconds(3);
  const auto arrivals = [&](uint64_t seed) {
    shape.seed = seed;
    Network network(shape, 2);
    std::vector<double> times;
    for (uint64_t key = 0; key < 100; ++key)
      network.Start(key, 0, 1, 10, static_cast<Nanoseconds>(key) * 10'000);
    network.Advance(kLater);
    for (uint64_t key = 0; key < 100; ++key) {
      times.push_back(network.ArrivedMs(key));
      EXPECT_GE(times[key], 2 + 0.01 * static_cast<double>(key) - kNear);
      EXPECT_LE(times[key], 5 + 0.01 * static_cast<double>(key) + kNear);
      EXPECT_GE(times[key], key > 0 ? times[key - 1] : 0);
    }
    return times;
  };
  EXPECT_EQ(arrivals(1), arrivals(1));
  EXPECT_NE(arrivals(1), arrivals(2));
}

// However often somebody looks, and whoever does, the times are the same.
TEST(FlowNetwork, TimesDoNotDependOnWhenAnybodyLooks) {
  const uint64_t seed = 5;
  std::vector<std::pair<double, double>> first;
  for (const Nanoseconds glance : {kLater, Nanoseconds{50'000}, Nanoseconds{7'001}}) {
    Network network(Rate(1e9), 4);
    Random random(seed);
    Nanoseconds now = 0;
    for (uint64_t key = 0; key < 200; ++key) {
      const auto from = static_cast<int32_t>(random.Below(4));
      const auto to = static_cast<int32_t>((from + 1 + random.Below(3)) % 4);
      const Nanoseconds next = now + static_cast<Nanoseconds>(random.Below(100'000));
      for (; now + glance < next; now += glance) network.Advance(now + glance);
      now = next;
      network.Start(key, from, to, static_cast<int64_t>(random.Below(200'000)), now);
    }
    network.Advance(kLater);
    for (uint64_t key = 0; key < 200; ++key) {
      ASSERT_GE(network.ArrivedMs(key), 0) << "seed " << seed;
      if (first.size() < 200) {
        first.emplace_back(network.LeftMs(key), network.ArrivedMs(key));
      } else {
        EXPECT_NEAR(network.LeftMs(key), first[key].first, kNear) << "seed " << seed;
        EXPECT_NEAR(network.ArrivedMs(key), first[key].second, kNear) << "seed " << seed;
      }
    }
  }
}

TEST(FlowNetwork, StateGrowsWithProcessesNotWithTheirPairs) {
  const auto bytes = [](int32_t processes) {
    NetworkPlan plan;
    plan.egress.assign(processes, 1);
    plan.ingress.assign(processes, 1);
    return FlowNetwork::StateBytes(plan);
  };
  EXPECT_LT(bytes(4096), 1 << 26);
  EXPECT_LT(bytes(4096) - bytes(512), 512 * (4096 - 512));
}

// Flows that are looked at for a message, of `processes` of which the first ones are servers, 0: of
// a ring. Nobody begins together with anybody.
double VisitsOfAMessage(int32_t processes, int32_t servers) {
  Network network(Rate(1e9), processes);
  int64_t messages = 0;
  for (const Nanoseconds begin : {Nanoseconds{0}, 100 * kLater}) {
    const bool is_back = begin > 0 && servers > 0;
    for (int32_t rank = servers; rank < processes; ++rank) {
      const Nanoseconds now = begin + 1000 * rank;
      network.network().Advance(now);
      for (int32_t peer = 0; peer < std::max(1, servers); ++peer) {
        const int32_t to = servers > 0 ? peer : (rank + 1) % processes;
        const FlowNetwork::Message message = {static_cast<uint64_t>(messages++), {}, {}, kBytes};
        EXPECT_TRUE(
            network.network().Enter(is_back ? to : rank, is_back ? rank : to, message).ok());
      }
    }
    network.network().Advance(begin + 100 * kLater - 1);
  }
  int64_t told = 0;
  network.network().TakeAllNotices([&](const FlowNetwork::Notice&) { ++told; });
  EXPECT_EQ(told, 2 * messages);
  return static_cast<double>(network.network().visits()) / static_cast<double>(messages);
}

// Of N workers that push to K servers, not even the flows of one server.
TEST(FlowNetwork, WorkOfAMessageDoesNotGrowWithProcesses) {
  for (const int32_t processes : {64, 1024}) {
    EXPECT_LE(VisitsOfAMessage(processes, /*servers=*/0), 4) << processes;
    EXPECT_LE(VisitsOfAMessage(processes, /*servers=*/1), 8) << processes;
  }
  EXPECT_LE(VisitsOfAMessage(512, /*servers=*/8), 2 * VisitsOfAMessage(128, /*servers=*/8));
}

TEST(FlowNetwork, NextNoticeIsWhenOneIsToTakeAndOversleepersAreNamedOnce) {
  NetworkShape shape = Rate(1e9);
  shape.latency = absl::Milliseconds(5);
  Network network(shape, 3);
  FlowNetwork& flows = network.network();
  const auto oversleepers = [&flows] {
    std::vector<int32_t> named;
    flows.TakeOversleepers([&named](int32_t process) { named.push_back(process); });
    return named;
  };
  for (int32_t process = 0; process < 3; ++process) {
    EXPECT_EQ(flows.NextNotice(process), kNever);
    flows.SleepUntil(process, kNever);
  }
  network.Start(1, 0, 1, kBytes, 0);
  EXPECT_EQ(flows.NextNotice(0), kMillisecond);
  EXPECT_EQ(flows.NextNotice(1), 6 * kMillisecond);
  EXPECT_EQ(flows.NextNotice(2), kNever);
  EXPECT_EQ(oversleepers(), (std::vector<int32_t>{0, 1}));
  EXPECT_EQ(oversleepers(), std::vector<int32_t>{});
  flows.SleepUntil(0, kMillisecond);
  flows.SleepUntil(1, 6 * kMillisecond);
  EXPECT_EQ(oversleepers(), std::vector<int32_t>{});
  // What comes later makes the others later, not earlier, and concerns its own ends.
  network.Start(2, 0, 2, kBytes, kMillisecond / 2);
  EXPECT_EQ(oversleepers(), std::vector<int32_t>{2});
}

TEST(FlowNetwork, TooManyMessagesUnderWayAreRefused) {
  Network network(Rate(1), 2);
  absl::Status status;
  int64_t started = 0;
  while (status.ok() && started < 1'000'000) {
    status = network.network().Start(
        0, 1, {static_cast<uint64_t>(started), Worker(0), Worker(1), kBytes}, 0);
    if (status.ok()) ++started;
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(absl::StrContains(status.message(), std::to_string(started))) << status;
}

TEST(PlanNetwork, StrangersAreNamed) {
  NetworkShape shape;
  shape.cards = {{Worker(7), 1, 1}};
  const absl::Status status = PlanNetwork(shape, {{Worker(0)}}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(absl::StrContains(status.message(), "worker/7")) << status;
}

TEST(MessageKey, DiffersInEveryPartOfTheName) {
  const Tag tag = {MessageKind::kPush, 3, 4, 5, 0, 6, 7};
  std::vector<uint64_t> keys = {
      MessageKey(Worker(0), Worker(1), tag), MessageKey(Worker(1), Worker(0), tag),
      MessageKey(Worker(0), Worker(2), tag), MessageKey({Role::kServer, 0}, Worker(1), tag),
      MessageKey(Worker(0), {Role::kServer, 1}, tag)};
  for (int part = 0; part < 6; ++part) {
    Tag other = tag;
    if (part == 0) other.kind = MessageKind::kPull;
    if (part == 1) ++other.round;
    if (part == 2) ++other.bucket;
    if (part == 3) ++other.step;
    if (part == 4) ++other.piece;
    if (part == 5) ++other.channel;
    keys.push_back(MessageKey(Worker(0), Worker(1), other));
  }
  for (size_t i = 0; i < keys.size(); ++i) {
    for (size_t j = i + 1; j < keys.size(); ++j) EXPECT_NE(keys[i], keys[j]) << i << " " << j;
  }
  Tag noted = tag;
  noted.note = 77;
  EXPECT_EQ(MessageKey(Worker(0), Worker(1), noted), keys[0]);
}

}  // namespace
}  // namespace ringmaster
