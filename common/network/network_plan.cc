#include "common/network/network_plan.h"

#include <algorithm>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"

namespace ringmaster {
namespace {

constexpr double kBytesPerNanosecond = 1e-9;

// Puts each process into its rack.
void PlanRacks(const NetworkShape::Racks& racks, const std::vector<std::vector<NodeId>>& processes,
               NetworkPlan* plan) {
  RM_CHECK(racks.workers_each > 0);
  int32_t count = 1;
  for (const std::vector<NodeId>& nodes : processes) {
    for (const NodeId& node : nodes) {
      if (node.role == Role::kWorker) count = std::max(count, node.index / racks.workers_each + 1);
    }
  }
  for (const std::vector<NodeId>& nodes : processes) {
    const auto worker = std::find_if(nodes.begin(), nodes.end(),
                                     [](const NodeId& node) { return node.role == Role::kWorker; });
    if (worker != nodes.end()) {
      plan->racks.push_back(worker->index / racks.workers_each);
    } else {
      plan->racks.push_back(racks.servers_in_first || nodes.empty() ? 0 : nodes[0].index % count);
    }
  }
  plan->uplinks.assign(count, racks.uplink * kBytesPerNanosecond);
  plan->rack_latency = absl::ToInt64Nanoseconds(racks.latency);
}

}  // namespace

absl::StatusOr<NetworkPlan> PlanNetwork(const NetworkShape& shape,
                                        const std::vector<std::vector<NodeId>>& processes) {
  absl::flat_hash_map<NodeId, int32_t> process_of;
  const auto count = static_cast<int32_t>(processes.size());
  for (int32_t process = 0; process < count; ++process) {
    for (const NodeId& node : processes[process]) process_of[node] = process;
  }
  const auto find = [&](NodeId node) -> absl::StatusOr<int32_t> {
    const auto found = process_of.find(node);
    if (found != process_of.end()) return found->second;
    return absl::InvalidArgumentError(absl::StrCat(
        "shaped network: ", ToString(node), " lives in none of the run's ", count, " processes"));
  };
  const auto delay = [](double rate, absl::Duration latency, absl::Duration jitter) {
    return NetworkPlan::Delay{rate * kBytesPerNanosecond, absl::ToInt64Nanoseconds(latency),
                              absl::ToInt64Nanoseconds(jitter)};
  };
  NetworkPlan plan;
  plan.seed = shape.seed;
  plan.egress.assign(count, shape.rate * kBytesPerNanosecond);
  plan.ingress = plan.egress;
  plan.everywhere = delay(kUnlimitedRate, shape.latency, shape.jitter);
  for (const NetworkShape::Card& card : shape.cards) {
    RM_ASSIGN_OR_RETURN(const int32_t process, find(card.node));
    plan.egress[process] = card.egress * kBytesPerNanosecond;
    plan.ingress[process] = card.ingress * kBytesPerNanosecond;
  }
  for (const NetworkShape::Link& link : shape.links) {
    RM_ASSIGN_OR_RETURN(const int32_t from, find(link.from));
    RM_ASSIGN_OR_RETURN(const int32_t to, find(link.to));
    plan.links[{from, to}] = delay(link.rate, link.latency, link.jitter);
  }
  if (shape.racks.has_value()) PlanRacks(*shape.racks, processes, &plan);
  return plan;
}

bool NetworkPlan::HasJitter() const {
  return everywhere.jitter > 0 || std::any_of(links.begin(), links.end(), [](const auto& link) {
           return link.second.jitter > 0;
         });
}

}  // namespace ringmaster
