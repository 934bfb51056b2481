#include "common/scheme/gossip/gossip.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/collective/gossip.h"
#include "common/scheme/weight_exchange.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {
namespace {

constexpr char kOpen[] = "strategy.gossip.every_steps";

constexpr ArmInfo kArms[] = {
    {"gossip",
     "every worker trains alone and averages its weights with its two neighbours', every step: "
     "D-PSGD",
     320, false, "strategy { gossip { graph: RING } }", kOpen},
    {"gossip-exponential",
     "gossip with one peer a step, 1, 2, 4, ... ranks away: half the bytes, and sooner one mind",
     330, false, "strategy { gossip { graph: ONE_PEER_EXPONENTIAL } }", kOpen},
};

GossipGraph GraphOf(const GossipSpec& gossip) {
  return gossip.graph() == GossipSpec::ONE_PEER_EXPONENTIAL ? GossipGraph::kOnePeerExponential
                                                            : GossipGraph::kRing;
}

void Resolve(int32_t, StrategySpec* strategy) {
  GossipSpec* gossip = strategy->mutable_gossip();
  if (gossip->graph() == GossipSpec::GRAPH_UNSET) gossip->set_graph(GossipSpec::RING);
  if (!gossip->has_every_steps()) gossip->set_every_steps(1);
}

void Check(const RunSpec& spec, Problems* problems) {
  const GossipSpec& gossip = spec.strategy().gossip();
  problems->Range<int64_t>("strategy.gossip.every_steps", gossip.every_steps(), 1, 1 << 30,
                           "1 averages in every step");
  CheckWeightsGoWhole(spec, problems);
}

SchemeTraits Traits(const StrategySpec& strategy, int32_t workers) {
  SchemeTraits traits;
  traits.workers = workers;
  traits.divisor = Divisor::kOwnBatches;
  traits.replicas = Replicas::kOnAverage;
  traits.gossip = GraphOf(strategy.gossip());
  traits.exchanged = Exchanged::kWeightsAhead;
  traits.exchange_every = std::max(1, strategy.gossip().every_steps());
  traits.marks_are_averages = true;
  traits.exchange_arenas = 2;  // what is averaged, and the model
  if (strategy.on_failure() == StrategySpec::CONTINUE) {
    // What is sent, and what each neighbour sends.
    const auto sources = GossipSources(*traits.gossip, std::max(1, workers), /*round=*/0, 0);
    traits.exchange_arenas += static_cast<int32_t>(sources.size());
  }
  // A neighbour's own weights stand in for those of who is lost.
  traits.may_continue = true;
  return traits;
}

// Whole weights to and from every neighbour, as many each way.
absl::StatusOr<RunTraffic> TrafficOf(const RunSpec& spec, const ParamLayout& layout, NodeId node,
                                     int64_t steps) {
  const GossipSpec& gossip = spec.strategy().gossip();
  const auto sources =
      GossipSources(GraphOf(gossip), spec.training().workers(), /*round=*/0, node.index);
  const int64_t bytes = (static_cast<int64_t>(sources.size()) - 1) * layout.count() *
                        static_cast<int64_t>(sizeof(float)) * (steps / gossip.every_steps());
  return RunTraffic{bytes, bytes};
}

std::string Rule(const RunSpec& spec) {
  const size_t sources =
      GossipSources(GraphOf(spec.strategy().gossip()), spec.training().workers(), 0, 0).size();
  return absl::StrCat(
      "A worker's weights become the average of its own and those that have arrived, as all were "
      "when the step began: each counts 1/",
      sources,
      ". Then the worker's own optimizer applies the step's gradient, which was computed from its "
      "weights before the averaging.");
}

}  // namespace

constexpr Scheme kGossipScheme = {
    "gossip",  "every worker updates its own weights and averages them with its neighbours'",
    kArms,     Resolve,
    Check,     Traits,
    TrafficOf, Rule,
};

}  // namespace ringmaster
