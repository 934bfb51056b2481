#ifndef RINGMASTER_WORKER_STRATEGY_ELASTIC_ELASTIC_RULE_H_
#define RINGMASTER_WORKER_STRATEGY_ELASTIC_ELASTIC_RULE_H_

#include <memory>

#include "absl/status/statusor.h"
#include "worker/strategy/weight_rule.h"

namespace ringmaster {

// Synchronous: before every period-th step all workers' weights are summed by a collective while
// the step's gradients are computed, and with x_i and c as they were before the step
//   x_i += alpha (c - x_i), then the update by the gradient at the old x_i
//   c += N alpha (mean of all x_i - c)
// (Zhang et al. 2015, equations 5 and 6). Every worker holds c, the same bits, and c is the model.
// A drain moves nobody. The state of the worker's own optimizer stays with the worker. No errors.
absl::StatusOr<std::unique_ptr<WeightRule>> CreateElasticRule(const WeightRuleSeat& seat);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_STRATEGY_ELASTIC_ELASTIC_RULE_H_
