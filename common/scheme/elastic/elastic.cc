#include "common/scheme/elastic/elastic.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/scheme/weight_exchange.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {
namespace {

// Of the paper's experiments: N alpha, and steps between two exchanges.
constexpr double kCenterShare = 0.9;
constexpr int32_t kPeriod = 10;

constexpr ArmInfo kArms[] = {
    {"easgd",
     "elastic averaging: every worker trains alone, and every 10 steps it and a center that all "
     "hold attract each other",
     340, false, "strategy { elastic { mode: SYNCHRONOUS } }",
     "strategy.elastic.collective,strategy.elastic.alpha,strategy.elastic.period"},
};

void Resolve(int32_t workers, StrategySpec* strategy) {
  ElasticSpec* elastic = strategy->mutable_elastic();
  if (elastic->mode() == ElasticSpec::MODE_UNSET) elastic->set_mode(ElasticSpec::SYNCHRONOUS);
  if (elastic->collective().empty()) elastic->set_collective("ring");
  if (!elastic->has_alpha()) elastic->set_alpha(kCenterShare / std::max(1, workers));
  if (!elastic->has_period()) elastic->set_period(kPeriod);
}

void Check(const RunSpec& spec, Problems* problems) {
  const ElasticSpec& elastic = spec.strategy().elastic();
  if (elastic.mode() != ElasticSpec::SYNCHRONOUS) {
    problems->Add("strategy.elastic.mode", ElasticSpec::Mode_Name(elastic.mode()),
                  "a center on servers would have to add what each worker sends when it comes, and "
                  "no server here does; use SYNCHRONOUS, whose center is at every worker");
  }
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
  problems->Range<int64_t>("strategy.elastic.period", elastic.period(), 1, 1 << 30,
                           "1 exchanges in every step");
  CheckWeightsGoWhole(spec, problems);
}

SchemeTraits Traits(const StrategySpec& strategy, int32_t workers) {
  const ElasticSpec& elastic = strategy.elastic();
  SchemeTraits traits;
  traits.workers = workers;
  traits.divisor = Divisor::kOwnBatches;
  traits.replicas = Replicas::kOnAverage;
  traits.collective = OwnCollective(elastic.collective());
  traits.exchanged = Exchanged::kWeightsAhead;
  traits.exchange_every = std::max(1, elastic.period());
  traits.exchange_arenas = 3;  // what is summed, the center, and the weights on their way
  return traits;
}

absl::StatusOr<RunTraffic> TrafficOf(const RunSpec& spec, const ParamLayout& layout, NodeId node,
                                     int64_t steps) {
  const ElasticSpec& elastic = spec.strategy().elastic();
  return AllReduceTraffic(elastic.collective(), spec, layout, node.index, steps / elastic.period());
}

}  // namespace

constexpr Scheme kElasticScheme = {
    "elastic", "every worker updates its own weights; they and a center attract each other",
    kArms,     Resolve,
    Check,     Traits,
    TrafficOf,
};

}  // namespace ringmaster
