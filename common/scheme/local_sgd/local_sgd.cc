#include "common/scheme/local_sgd/local_sgd.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/scheme/group_order.h"
#include "common/scheme/weight_exchange.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {
namespace {

constexpr int32_t kLocalSteps = 8;

constexpr ArmInfo kArms[] = {
    {"local-sgd",
     "every worker trains alone, and every 8 steps all take the average of the weights", 300, false,
     "strategy { local_sgd { outer_optimizer: 'none' } }",
     "strategy.local_sgd.collective,strategy.local_sgd.local_steps,"
     "strategy.local_sgd.synchronous_steps"},
    {"diloco",
     "local SGD with Nesterov on the way from one average to the next; with AdamW inside it is "
     "DiLoCo",
     310, false, "strategy { local_sgd { outer_optimizer: 'nesterov' } }",
     "strategy.local_sgd.collective,strategy.local_sgd.local_steps,"
     "strategy.local_sgd.synchronous_steps,strategy.local_sgd.outer_learning_rate,"
     "strategy.local_sgd.outer_momentum"},
};

void Resolve(int32_t, StrategySpec* strategy) {
  LocalSgdSpec* local = strategy->mutable_local_sgd();
  if (local->collective().empty()) local->set_collective("ring");
  if (!local->has_local_steps()) local->set_local_steps(kLocalSteps);
  if (!local->has_synchronous_steps()) local->set_synchronous_steps(0);
  if (local->outer_optimizer().empty()) local->set_outer_optimizer("none");
  const bool is_nesterov = local->outer_optimizer() == "nesterov";
  if (!local->has_outer_learning_rate() && local->outer_optimizer() != "none")
    local->set_outer_learning_rate(is_nesterov ? 0.7f : 1.0f);
  if (!local->has_outer_momentum() && is_nesterov) local->set_outer_momentum(0.9f);
}

void CheckOuter(const LocalSgdSpec& local, Problems* problems) {
  const std::string& outer = local.outer_optimizer();
  problems->Known("strategy.local_sgd.outer_optimizer", "outer optimizer", outer,
                  {"none", "sgd", "nesterov"});
  constexpr char kRate[] = "strategy.local_sgd.outer_learning_rate";
  const float rate = local.outer_learning_rate();
  if (outer == "none" && local.has_outer_learning_rate()) {
    problems->Add(kRate, rate,
                  "there is no outer optimizer that it is for; leave it out, or set "
                  "outer_optimizer");
  } else if (outer != "none" && !(rate > 0 && std::isfinite(rate))) {
    problems->Add(kRate, rate, "expected a number above 0, for example 0.7");
  }
  constexpr char kMomentum[] = "strategy.local_sgd.outer_momentum";
  const float momentum = local.outer_momentum();
  if (outer != "nesterov" && local.has_outer_momentum()) {
    problems->Add(kMomentum, momentum, "only for outer_optimizer \"nesterov\"; leave it out");
  } else if (outer == "nesterov" && !(momentum >= 0 && momentum < 1)) {
    problems->Add(kMomentum, momentum, "expected a number from 0 to below 1, for example 0.9");
  }
}

void Check(const RunSpec& spec, Problems* problems) {
  const LocalSgdSpec& local = spec.strategy().local_sgd();
  CheckOwnCollective("strategy.local_sgd.collective", local.collective(), problems);
  problems->Range<int64_t>("strategy.local_sgd.local_steps", local.local_steps(), 1, 1 << 30,
                           "1 averages after every step");
  problems->Range<int64_t>("strategy.local_sgd.synchronous_steps", local.synchronous_steps(), 0,
                           int64_t{1} << 40, "0 averages gradients in no step");
  CheckOuter(local, problems);
  CheckWeightsGoWhole(spec, problems);
}

SchemeTraits Traits(const StrategySpec& strategy, int32_t workers) {
  const LocalSgdSpec& local = strategy.local_sgd();
  SchemeTraits traits;
  traits.workers = workers;
  traits.divisor = Divisor::kOwnBatches;
  traits.replicas = Replicas::kEqualAfterDrain;
  traits.collective = OwnCollective(local.collective());
  traits.group_size = GroupSizeFor(traits.collective, strategy.group_order(), workers);
  traits.exchanged = Exchanged::kWeightsAfter;
  traits.exchange_every = std::max(1, local.local_steps());
  traits.synchronous_steps = local.synchronous_steps();
  traits.marks_are_averages = true;
  // What is summed; beside an outer optimizer the last average, and its velocity.
  traits.exchange_arenas = local.outer_optimizer() == "sgd"        ? 2
                           : local.outer_optimizer() == "nesterov" ? 3
                                                                   : 1;
  return traits;
}

// Gradients in each synchronous step, weights after each H-th one from there on.
absl::StatusOr<RunTraffic> TrafficOf(const RunSpec& spec, const ParamLayout& layout, NodeId node,
                                     int64_t steps) {
  const LocalSgdSpec& local = spec.strategy().local_sgd();
  const int64_t synchronous = std::min(steps, local.synchronous_steps());
  const int64_t sums = synchronous + (steps - synchronous) / local.local_steps();
  return AllReduceTraffic(spec, Traits(spec.strategy(), spec.training().workers()), layout,
                          node.index, sums);
}

std::string Rule(const RunSpec& spec) {
  const LocalSgdSpec& local = spec.strategy().local_sgd();
  const std::string sum = "The sum of all workers' weights, divided by N, is their average.";
  if (local.outer_optimizer() == "none")
    return absl::StrCat(sum, " It replaces every worker's weights.");
  return absl::StrCat(
      sum,
      " How far it lies from the weights that the last exchange left is taken for a gradient: ",
      local.outer_optimizer(), " with rate ", local.outer_learning_rate(),
      local.outer_optimizer() == "nesterov" ? absl::StrCat(" and momentum ", local.outer_momentum())
                                            : "",
      " updates those weights by it, alike at every worker, and the result replaces every worker's "
      "weights.");
}

}  // namespace

constexpr Scheme kLocalSgdScheme = {
    "local_sgd", "every worker updates its own weights; every H steps all take their average",
    kArms,       Resolve,
    Check,       Traits,
    TrafficOf,   Rule,
};

}  // namespace ringmaster
