#include "common/scheme/parameter_server/parameter_server.h"

#include <memory>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/codec/codec.h"
#include "common/exchange/parts.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {
namespace {

constexpr int64_t kMaxServers = 1024;
constexpr int64_t kFloatBytes = sizeof(float);

constexpr char kServers[] = "strategy.parameter_server.servers";
constexpr char kServersAndWork[] = "strategy.parameter_server.servers,strategy.work";
constexpr char kServersAndMemory[] = "strategy.parameter_server.servers,codec.error_feedback";

constexpr ArmInfo kArms[] = {
    {"dp",
     "one process, N worker threads, the server beside worker 0, copies in memory: data "
     "parallelism in a process",
     30, true,
     "strategy { parameter_server { consistency: BSP placement: COLOCATED servers: 1 } launch: "
     "THREADS } transport { name: 'inproc' }",
     ""},
    {"ps",
     "a central parameter server of its own, one update a step from the sum of all workers (BSP)",
     40, true, "strategy { parameter_server { consistency: BSP placement: DEDICATED } }", kServers},
    {"ps-sharded",
     "a server beside every worker, each with a part of the weights (BSP): the ring's bytes in "
     "another pattern",
     50, true, "strategy { parameter_server { consistency: BSP placement: COLOCATED } }", ""},
    {"ssp",
     "the central server with an update per arrival, no worker more than a bound of clocks ahead "
     "(SSP)",
     60, true, "strategy { parameter_server { consistency: SSP placement: DEDICATED } }",
     "strategy.parameter_server.servers,strategy.parameter_server.staleness_bound"},
    {"async",
     "the central server with an update per arrival and no bound: workers claim their batches", 80,
     true, "strategy { parameter_server { consistency: ASYNCHRONOUS placement: DEDICATED } }",
     kServersAndWork},
    {"async-topk", "async, sending the largest 1 % of every bucket with error feedback", 90, true,
     "strategy { parameter_server { consistency: ASYNCHRONOUS placement: DEDICATED } } codec { "
     "name: 'topk' }",
     "strategy.parameter_server.servers,strategy.work,codec.density,codec.error_feedback"},
    {"ps-fp16", "ps with gradients in half precision", 210, false,
     "strategy { parameter_server { consistency: BSP placement: DEDICATED } } codec { name: 'fp16' "
     "}",
     kServersAndMemory},
    {"ps-onebit", "ps with one bit a gradient element and error feedback", 220, false,
     "strategy { parameter_server { consistency: BSP placement: DEDICATED } } codec { name: "
     "'onebit' }",
     kServersAndMemory},
};

void Resolve(int32_t workers, StrategySpec* strategy) {
  ParameterServerSpec* server = strategy->mutable_parameter_server();
  if (server->consistency() == ParameterServerSpec::CONSISTENCY_UNSET) {
    server->set_consistency(ParameterServerSpec::BSP);
  }
  if (server->placement() == ParameterServerSpec::PLACEMENT_UNSET)
    server->set_placement(ParameterServerSpec::DEDICATED);
  if (!server->has_servers()) {
    server->set_servers(server->placement() == ParameterServerSpec::COLOCATED ? workers : 1);
  }
  if (server->consistency() == ParameterServerSpec::SSP && !server->has_staleness_bound()) {
    server->set_staleness_bound(2);
  }
  if (server->consistency() == ParameterServerSpec::ASYNCHRONOUS &&
      strategy->work() == StrategySpec::WORK_UNSET) {
    strategy->set_work(StrategySpec::CLAIMED);
  }
}

void Check(const RunSpec& spec, Problems* problems) {
  const ParameterServerSpec& server = spec.strategy().parameter_server();
  problems->Range<int64_t>(kServers, server.servers(), 1, kMaxServers, "set --servers");
  if (server.placement() == ParameterServerSpec::COLOCATED &&
      server.servers() > spec.training().workers()) {
    problems->Add(kServers, server.servers(),
                  absl::StrCat("co-located servers live beside workers, and there are ",
                               spec.training().workers(),
                               "; use at most as many servers, or placement DEDICATED"));
  }
  constexpr char kBound[] = "strategy.parameter_server.staleness_bound";
  if (server.consistency() == ParameterServerSpec::SSP) {
    if (!server.has_staleness_bound()) {
      problems->Add(
          kBound, "(none)",
          "SSP needs one, 0 or more; set it, or use consistency ASYNCHRONOUS for no bound");
    } else {
      problems->Range<int64_t>(kBound, server.staleness_bound(), 0, 1 << 20);
    }
  } else if (server.has_staleness_bound()) {
    problems->Add(kBound, server.staleness_bound(),
                  absl::StrCat("only for consistency SSP, and it is ",
                               ParameterServerSpec::Consistency_Name(server.consistency()),
                               "; leave it out"));
  }
}

SchemeTraits Traits(const StrategySpec& strategy, int32_t workers) {
  const ParameterServerSpec& server = strategy.parameter_server();
  SchemeTraits traits;
  traits.workers = workers;
  traits.servers = server.servers();
  traits.servers_beside_workers = server.placement() == ParameterServerSpec::COLOCATED;
  traits.weights = WeightHolder::kServers;
  const bool bounded = server.consistency() == ParameterServerSpec::SSP;
  if (bounded || server.consistency() == ParameterServerSpec::ASYNCHRONOUS) {
    traits.updates = Updates::kOnArrival;
    traits.replicas = Replicas::kEqualAfterDrain;
  }
  if (bounded) traits.staleness_bound = server.staleness_bound();
  return traits;
}

// Every worker pushes each server its part of every bucket and gets the part's weights, floats,
// back. What a worker and the server beside it exchange stays in its place.
absl::StatusOr<StepTraffic> TrafficOf(const RunSpec& spec, const ParamLayout& layout, NodeId node) {
  RM_ASSIGN_OR_RETURN(const std::unique_ptr<Codec> codec, CreateCodec(spec.codec()));
  const SchemeTraits traits = Traits(spec.strategy(), spec.training().workers());
  const bool is_server = node.role == Role::kServer;
  StepTraffic traffic;
  for (int32_t peer = 0; peer < (is_server ? traits.workers : traits.servers); ++peer) {
    if (traits.servers_beside_workers && peer == node.index) continue;
    const int32_t server = is_server ? node.index : peer;
    for (const Bucket& bucket : layout.buckets()) {
      const int64_t count = PartOnServer(bucket, traits.servers, server).count;
      if (count == 0) continue;
      (is_server ? traffic.received : traffic.sent) += codec->MaxEncodedBytes(count);
      (is_server ? traffic.sent : traffic.received) += kFloatBytes * count;
    }
  }
  return traffic;
}

}  // namespace

constexpr Scheme kParameterServerScheme = {
    "parameter_server",
    "K servers hold the weights; BSP, SSP(s) or asynchronous; dedicated or co-located",
    kArms,
    Resolve,
    Check,
    Traits,
    TrafficOf,
};

}  // namespace ringmaster
