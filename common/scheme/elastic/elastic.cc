#include "common/scheme/elastic/elastic.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/scheme/group_order.h"
#include "common/scheme/server_exchange.h"
#include "common/scheme/weight_exchange.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {
namespace {

// Of the paper's experiments: N alpha, and steps between two exchanges.
constexpr double kCenterShare = 0.9;
constexpr int32_t kPeriod = 10;
// What a push may lack of it is told in 22 bits (PushNote).
constexpr int64_t kPeriodMax = 1 << 20;

constexpr ArmInfo kArms[] = {
    {"easgd",
     "elastic averaging: every worker trains alone, and every 10 steps it and a center that all "
     "hold attract each other",
     340, false, "strategy { elastic { mode: SYNCHRONOUS } }",
     "strategy.elastic.collective,strategy.elastic.alpha,strategy.elastic.period"},
    {"easgd-async",
     "elastic averaging with the center on servers: every 10 of its steps a worker and the center "
     "attract each other",
     345, false, "strategy { elastic { mode: ASYNCHRONOUS } }",
     "strategy.elastic.servers,strategy.elastic.alpha,strategy.elastic.period,strategy.work"},
};

void Resolve(int32_t workers, StrategySpec* strategy) {
  ElasticSpec* elastic = strategy->mutable_elastic();
  if (elastic->mode() == ElasticSpec::MODE_UNSET) elastic->set_mode(ElasticSpec::SYNCHRONOUS);
  if (!elastic->has_alpha()) elastic->set_alpha(kCenterShare / std::max(1, workers));
  if (!elastic->has_period()) elastic->set_period(kPeriod);
  if (elastic->mode() == ElasticSpec::SYNCHRONOUS) {
    if (elastic->collective().empty()) elastic->set_collective("ring");
    return;
  }
  if (!elastic->has_servers()) elastic->set_servers(1);
  if (strategy->work() == StrategySpec::WORK_UNSET) strategy->set_work(StrategySpec::CLAIMED);
}

bool IsAsynchronous(const ElasticSpec& elastic) {
  return elastic.mode() == ElasticSpec::ASYNCHRONOUS;
}

void CheckSynchronous(const RunSpec& spec, Problems* problems) {
  const ElasticSpec& elastic = spec.strategy().elastic();
  if (elastic.has_servers()) {
    problems->Add("strategy.elastic.servers", elastic.servers(),
                  "only for mode ASYNCHRONOUS; leave it out");
  }
  CheckOwnCollective("strategy.elastic.collective", elastic.collective(), problems);
  const double alpha = elastic.alpha();
  const int32_t workers = std::max(1, spec.training().workers());
  if (!(alpha > 0 && alpha * workers <= 1)) {
    problems->Add("strategy.elastic.alpha", alpha,
                  absl::StrCat("expected a number above 0 and at most 1/N = ", 1.0 / workers,
                               ": beyond it the center overshoots the workers' average; leave it "
                               "out for 0.9/N"));
  }
}

void CheckAsynchronous(const ElasticSpec& elastic, Problems* problems) {
  problems->Range<int64_t>("strategy.elastic.servers", elastic.servers(), 1, kServersMax,
                           "they hold the center");
  if (!elastic.collective().empty()) {
    problems->Add("strategy.elastic.collective", elastic.collective(),
                  "only for mode SYNCHRONOUS: no worker waits for another to sum with; leave it "
                  "out");
  }
  // Both ends compute with floats.
  const auto alpha = static_cast<float>(elastic.alpha());
  if (!(alpha > 0 && alpha < 1)) {
    problems->Add("strategy.elastic.alpha", elastic.alpha(),
                  "expected a number above 0 and below 1: with 1 a worker and the center would "
                  "change places; leave it out for 0.9/N");
  }
}

void Check(const RunSpec& spec, Problems* problems) {
  const ElasticSpec& elastic = spec.strategy().elastic();
  if (IsAsynchronous(elastic)) {
    CheckAsynchronous(elastic, problems);
  } else {
    CheckSynchronous(spec, problems);
  }
  problems->Range<int64_t>("strategy.elastic.period", elastic.period(), 1, kPeriodMax,
                           "1 exchanges in every step");
  CheckWeightsGoWhole(spec, problems);
}

SchemeTraits Traits(const StrategySpec& strategy, int32_t workers) {
  const ElasticSpec& elastic = strategy.elastic();
  SchemeTraits traits;
  traits.workers = workers;
  traits.divisor = Divisor::kOwnBatches;
  traits.replicas = Replicas::kOnAverage;
  if (IsAsynchronous(elastic)) {
    traits.servers = elastic.servers();
    traits.weights = WeightHolder::kServers;
    traits.updates = Updates::kOnArrival;
    traits.local_steps = std::max(1, elastic.period());
    traits.attraction = elastic.alpha();
    traits.exchange_arenas = 2;      // what arrives, and the center
    traits.server_arenas = workers;  // an answer to each
    traits.may_continue = true;
    return traits;
  }
  traits.collective = OwnCollective(elastic.collective());
  traits.group_size = GroupSizeFor(traits.collective, strategy.group_order(), workers);
  traits.exchanged = Exchanged::kWeightsAhead;
  traits.exchange_every = std::max(1, elastic.period());
  traits.exchange_arenas = 3;  // what is summed, the center, and the weights on their way
  return traits;
}

absl::StatusOr<RunTraffic> TrafficOf(const RunSpec& spec, const ParamLayout& layout, NodeId node,
                                     int64_t steps) {
  const ElasticSpec& elastic = spec.strategy().elastic();
  const SchemeTraits traits = Traits(spec.strategy(), spec.training().workers());
  if (IsAsynchronous(elastic)) return ServerTraffic(spec, traits, layout, node, steps);
  return AllReduceTraffic(spec, traits, layout, node.index, steps / elastic.period());
}

std::string Rule(const RunSpec& spec) {
  const ElasticSpec& elastic = spec.strategy().elastic();
  const double alpha = elastic.alpha();
  if (IsAsynchronous(elastic)) {
    return absl::StrFormat(
        "Every worker's own optimizer updates its weights x for %d steps. It pushes them; the "
        "server's center c goes towards them, c += a (x - c) with a = %.4g, and is sent back. The "
        "worker goes as far to where the center was, and stays itself.",
        elastic.period(), alpha);
  }
  return absl::StrFormat(
      "Every worker holds the center c, which begins as the initial weights. With a = %.4g each "
      "worker moves its weights x towards it, x += a (c - x), and the center towards the average "
      "of all weights, c += %.4g (average - c), both from what they were before. Then the worker's "
      "own optimizer applies the step's gradient.",
      alpha, alpha * spec.training().workers());
}

}  // namespace

constexpr Scheme kElasticScheme = {
    "elastic", "every worker updates its own weights; they and a center attract each other",
    kArms,     Resolve,
    Check,     Traits,
    TrafficOf, Rule,
};

}  // namespace ringmaster
