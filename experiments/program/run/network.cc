#include "experiments/program/run/network.h"

#include <set>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "common/config/describe.h"
#include "common/transport/transport.h"
#include "experiments/program/run/placement.h"

namespace ringmaster {
namespace {

double BytesPerSecond(bool is_set, double megabits_per_second) {
  return is_set ? megabits_per_second * 1e6 / 8 : kUnlimitedRate;
}

}  // namespace

std::optional<NetworkShape> NetworkOf(const RunSpec& spec) {
  if (!spec.transport().has_network()) return std::nullopt;
  const NetworkSpec& network = spec.transport().network();
  std::set<std::string> placed;
  for (const auto& process : PlaceNodes(spec)) {
    for (const NodeId& node : process) placed.insert(ToString(node));
  }
  const auto id = [](const std::string& name) {
    const auto node = *ReadNodeName(name);
    return NodeId{node.is_server ? Role::kServer : Role::kWorker, node.index};
  };
  NetworkShape shape;
  shape.rate = BytesPerSecond(network.has_megabits_per_second(), network.megabits_per_second());
  shape.latency = absl::Milliseconds(network.latency_ms());
  shape.jitter = absl::Milliseconds(network.jitter_ms());
  shape.seed = network.seed();
  for (const NodeNetworkSpec& node : network.nodes()) {
    if (placed.count(node.node()) == 0) continue;
    shape.cards.push_back(
        {id(node.node()),
         BytesPerSecond(node.has_egress_megabits_per_second(), node.egress_megabits_per_second()),
         BytesPerSecond(node.has_ingress_megabits_per_second(),
                        node.ingress_megabits_per_second())});
  }
  for (const LinkSpec& link : network.links()) {
    if (placed.count(link.from()) == 0 || placed.count(link.to()) == 0) continue;
    shape.links.push_back(
        {id(link.from()), id(link.to()),
         BytesPerSecond(link.has_megabits_per_second(), link.megabits_per_second()),
         absl::Milliseconds(link.latency_ms()), absl::Milliseconds(link.jitter_ms())});
  }
  if (network.has_racks()) {
    const RacksSpec& racks = network.racks();
    shape.racks = NetworkShape::Racks{
        racks.workers_each(),
        BytesPerSecond(racks.has_uplink_megabits_per_second(), racks.uplink_megabits_per_second()),
        absl::Milliseconds(racks.uplink_latency_ms()), racks.servers() == RacksSpec::FIRST_RACK};
  }
  return shape;
}

FabricOptions FabricOptionsOf(const RunSpec& spec, const JobCredentials& credentials) {
  FabricOptions fabric;
  fabric.name = spec.transport().name();
  fabric.listen_address = spec.transport().listen_address();
  fabric.credentials = credentials;
  fabric.segment_bytes = spec.transport().segment_bytes();
  fabric.wait = spec.transport().wait();
  fabric.network = NetworkOf(spec);
  fabric.outlives_peers = GoesOn(spec);
  return fabric;
}

}  // namespace ringmaster
