// The fluid's times are those of the same fluid computed in the simplest way.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "common/base/random.h"
#include "common/network/flow_network.h"
#include "common/network/network_plan.h"
#include "common/network/network_shape.h"
#include "gtest/gtest.h"

namespace ringmaster {
namespace {

NodeId Worker(int32_t rank) { return {Role::kWorker, rank}; }

struct alignas(64) Line {
  std::byte bytes[64];
};

constexpr Nanoseconds kEnd = 100'000'000'000;

// After every message that enters or leaves, all rates grow
// together until some card, uplink or link is full.
class Oracle {
 public:
  explicit Oracle(const NetworkPlan& plan) : plan_(plan) {}

  void Start(uint64_t key, int32_t from, int32_t to, double bytes, double now) {
    Advance(now);
    queues_[{from, to}].push_back({key, bytes});
  }

  void Advance(double until) {
    for (;;) {
      const auto rates = Rates();
      double next = until;
      for (const auto& [pair, rate] : rates)
        next = std::min(next, time_ + queues_[pair].front().bytes / rate);
      for (const auto& [pair, rate] : rates) {
        std::deque<Waiting>& queue = queues_[pair];
        queue.front().bytes -= rate * (next - time_);
        if (queue.front().bytes > 1e-6) continue;
        left_[queue.front().key] = next;
        queue.pop_front();
        if (queue.empty()) queues_.erase(pair);
      }
      time_ = next;
      if (next == until) return;
    }
  }

  // Of every message, in nanoseconds.
  const std::map<uint64_t, double>& left() const { return left_; }

 private:
  using Pair = std::pair<int32_t, int32_t>;
  struct Waiting {
    uint64_t key = 0;
    double bytes = 0;
  };

  // What a flow crosses, each named by a kind and an index or two.
  std::map<std::array<int32_t, 3>, double> Crossed(const Pair& pair) const {
    std::map<std::array<int32_t, 3>, double> crossed;
    crossed[{0, pair.first, 0}] = plan_.egress[pair.first];
    crossed[{1, pair.second, 0}] = plan_.ingress[pair.second];
    crossed[{2, pair.first, pair.second}] = plan_.link(pair.first, pair.second).rate;
    if (plan_.racks.empty() || plan_.racks[pair.first] == plan_.racks[pair.second]) return crossed;
    crossed[{3, plan_.racks[pair.first], 0}] = plan_.uplinks[plan_.racks[pair.first]];
    crossed[{4, plan_.racks[pair.second], 0}] = plan_.uplinks[plan_.racks[pair.second]];
    return crossed;
  }

  std::map<Pair, double> Rates() const {
    std::map<Pair, double> rates;
    std::map<std::array<int32_t, 3>, double> left;
    for (const auto& [pair, queue] : queues_) {
      for (const auto& [name, capacity] : Crossed(pair)) left[name] = capacity;
    }
    while (rates.size() < queues_.size()) {
      std::map<std::array<int32_t, 3>, int32_t> open;
      for (const auto& [pair, queue] : queues_) {
        for (const auto& [name, capacity] : Crossed(pair)) open[name] += rates.count(pair) == 0;
      }
      double lowest = kUnlimitedRate;
      for (const auto& [name, flows] : open) {
        if (flows > 0) lowest = std::min(lowest, left[name] / flows);
      }
      std::map<Pair, double> full = rates;
      for (const auto& [pair, queue] : queues_) {
        for (const auto& [name, capacity] : Crossed(pair)) {
          if (rates.count(pair) == 0 && left[name] / open[name] <= lowest * (1 + 1e-9))
            full[pair] = lowest;
        }
      }
      for (const auto& [pair, rate] : full) {
        if (rates.count(pair) > 0) continue;
        for (const auto& [name, capacity] : Crossed(pair)) left[name] -= rate;
      }
      rates = full;
    }
    return rates;
  }

  const NetworkPlan plan_;
  double time_ = 0;
  std::map<Pair, std::deque<Waiting>> queues_;
  std::map<uint64_t, double> left_;
};

// Cards of all sizes, with and without racks and slow links, and traffic that has now one side's
// cards full and now the other's.
NetworkShape DrawShape(int32_t processes, Random* random) {
  NetworkShape shape;
  shape.rate = 1e9;
  const auto draw = [random] { return 1e8 + random->Uniform() * 1e9; };
  if (random->Below(2) == 0) {
    for (int32_t rank = 0; rank < processes; ++rank)
      shape.cards.push_back({Worker(rank), draw(), draw()});
  }
  if (random->Below(3) == 0) {
    for (int32_t rank = 1; rank < processes; rank += 2)
      shape.links.push_back({Worker(rank), Worker(0), draw() / 3, {}, {}});
  }
  if (random->Below(3) == 0)
    shape.racks = NetworkShape::Racks{2, draw(), absl::ZeroDuration(), false};
  return shape;
}

TEST(FlowNetwork, MessagesLeaveWhenThoseOfTheSimplestFluidDo) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    const auto processes = static_cast<int32_t>(3 + random.Below(6));
    std::vector<std::vector<NodeId>> nodes;
    for (int32_t rank = 0; rank < processes; ++rank) nodes.push_back({Worker(rank)});
    const NetworkPlan plan = *PlanNetwork(DrawShape(processes, &random), nodes);
    std::vector<Line> memory(FlowNetwork::StateBytes(plan) / sizeof(Line) + 1);
    FlowNetwork network(plan, {memory.front().bytes, memory.size() * sizeof(Line)});
    Oracle oracle(plan);
    const auto servers = static_cast<int32_t>(1 + random.Below(processes - 1));
    const bool is_of_one_size = random.Below(2) == 0;
    constexpr uint64_t kMessages = 150;
    Nanoseconds now = 0;
    for (uint64_t key = 0; key < kMessages; ++key) {
      auto from = static_cast<int32_t>(random.Below(processes));
      auto to = static_cast<int32_t>(random.Below(servers));
      if (to == from) to = (from + 1) % processes;
      if (key % 50 >= 25) std::swap(from, to);
      now += static_cast<Nanoseconds>(random.Below(3) == 0 ? random.Below(1'000'000) : 0);
      const auto bytes = static_cast<int64_t>(is_of_one_size ? 100'000 : random.Below(300'000));
      ASSERT_TRUE(network.Start(from, to, {key, Worker(from), Worker(to), bytes}, now).ok());
      oracle.Start(key, from, to, static_cast<double>(bytes), static_cast<double>(now));
    }
    network.Advance(kEnd);
    oracle.Advance(kEnd);
    std::map<uint64_t, Nanoseconds> left;
    network.TakeAllNotices([&](const FlowNetwork::Notice& notice) {
      if (notice.has_left) left[notice.message.key] = notice.time;
    });
    ASSERT_EQ(left.size(), kMessages);
    // Each message leaves up to a nanosecond late, and those behind it too.
    for (uint64_t key = 0; key < kMessages; ++key)
      EXPECT_NEAR(left.at(key), oracle.left().at(key), kMessages) << key;
  }
}

}  // namespace
}  // namespace ringmaster
