#include "tests/common/network/simgrid/flow_set.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/base/check.h"
#include "common/base/message.h"
#include "common/base/random.h"

namespace ringmaster {
namespace {

constexpr int32_t kSlots = 1024;
constexpr size_t kAlignment = 64;

NodeId Worker(int32_t host) { return {Role::kWorker, host}; }

// Of all orders of magnitude between the two alike.
double Between(Random* random, double low, double high) {
  return low * std::pow(high / low, double{random->Uniform()});
}

NetworkShape RandomShape(Random* random, int32_t hosts, bool has_racks) {
  NetworkShape shape;
  shape.rate = Between(random, 1e7, 1e9);
  for (int32_t host = 0; host < hosts; ++host) {
    if (random->Below(3) > 0) continue;
    shape.cards.push_back(
        {Worker(host), shape.rate * Between(random, 0.2, 5), shape.rate * Between(random, 0.2, 5)});
  }
  if (!has_racks) return shape;
  NetworkShape::Racks& racks = shape.racks.emplace();
  racks.workers_each = 1 + static_cast<int32_t>(random->Below((hosts + 1) / 2));
  racks.uplink = shape.rate * Between(random, 0.3, 2.0 * racks.workers_each);
  return shape;
}

}  // namespace

FlowSet RandomFlowSet(uint64_t seed) {
  Random random(seed);
  FlowSet set;
  set.hosts = 2 + static_cast<int32_t>(random.Below(31));
  const bool has_racks = seed % 2 == 1;
  set.shape = RandomShape(&random, set.hosts, has_racks);
  const bool has_latency = random.Below(2) == 0;
  if (has_latency) set.shape.latency = absl::Nanoseconds(Between(&random, 1e3, 1e6));
  // With a latency of their own, messages between racks are alone in their set.
  const bool crosses = has_racks && has_latency && random.Below(2) == 0;
  if (crosses) set.shape.racks->latency = absl::Nanoseconds(Between(&random, 1e3, 1e6));
  const bool meets = seed % 3 == 0;

  const auto count = static_cast<int32_t>(1 + random.Below(4 * set.hosts));
  const double span = 1e9 * 1e6 / set.shape.rate * Between(&random, 0.1, 4);
  std::set<std::pair<int32_t, int32_t>> taken;
  for (int32_t i = 0; i < count; ++i) {
    FlowSet::Message message;
    message.from = static_cast<int32_t>(random.Below(set.hosts));
    message.to = meets && random.Below(2) == 0 ? 0 : static_cast<int32_t>(random.Below(set.hosts));
    message.bytes = static_cast<int64_t>(Between(&random, 1e3, 4e6));
    message.start = static_cast<Nanoseconds>(span * double{random.Uniform()});
    const auto rack = [&](int32_t host) { return host / set.shape.racks->workers_each; };
    if (message.from == message.to || (crosses && rack(message.from) == rack(message.to))) continue;
    const bool is_new = taken.emplace(message.from, message.to).second;
    if (has_latency && !is_new) continue;
    if (is_new && random.Below(8) == 0) {
      set.shape.links.push_back({Worker(message.from), Worker(message.to),
                                 set.shape.rate * Between(&random, 0.1, 2), set.shape.latency});
    }
    set.messages.push_back(message);
  }
  std::stable_sort(
      set.messages.begin(), set.messages.end(),
      [](const FlowSet::Message& a, const FlowSet::Message& b) { return a.start < b.start; });
  return set;
}

std::string Describe(const FlowSet& set) {
  std::string text =
      absl::StrCat(set.hosts, " hosts at ", set.shape.rate, " B/s, latency ",
                   absl::FormatDuration(set.shape.latency), ", ", set.shape.cards.size(),
                   " cards and ", set.shape.links.size(), " links of their own");
  if (set.shape.racks.has_value()) {
    absl::StrAppend(&text, ", racks of ", set.shape.racks->workers_each, ", uplinks of ",
                    set.shape.racks->uplink, " B/s");
  }
  return text;
}

std::vector<double> PlayInFlowNetwork(const FlowSet& set) {
  std::vector<std::vector<NodeId>> processes;
  for (int32_t host = 0; host < set.hosts; ++host) processes.push_back({Worker(host)});
  const absl::StatusOr<NetworkPlan> plan = PlanNetwork(set.shape, processes);
  RM_CHECK(plan.ok());
  std::vector<std::byte> memory(FlowNetwork::StateBytes(*plan, kSlots) + kAlignment);
  const size_t skip = kAlignment - reinterpret_cast<uintptr_t>(memory.data()) % kAlignment;
  FlowNetwork network(*plan, absl::MakeSpan(memory).subspan(skip), kSlots);
  RM_CHECK(set.messages.size() < kSlots);
  for (size_t i = 0; i < set.messages.size(); ++i) {
    const FlowSet::Message& message = set.messages[i];
    const absl::Status started =
        network.Start(message.from, message.to,
                      {i, Worker(message.from), Worker(message.to), message.bytes}, message.start);
    RM_CHECK(started.ok());
  }
  for (Nanoseconds next; (next = network.NextLeaves()) != kNever;) network.Advance(next);
  std::vector<double> arrived(set.messages.size(), -1);
  for (int32_t host = 0; host < set.hosts; ++host) {
    network.TakeNotices(host, [&](const FlowNetwork::Notice& notice) {
      if (!notice.has_left) arrived[notice.message.key] = static_cast<double>(notice.time);
    });
  }
  return arrived;
}

}  // namespace ringmaster
