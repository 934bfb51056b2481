#ifndef RINGMASTER_WORKER_STRATEGY_LOCAL_SGD_LOCAL_SGD_RULE_H_
#define RINGMASTER_WORKER_STRATEGY_LOCAL_SGD_LOCAL_SGD_RULE_H_

#include <memory>

#include "absl/status/statusor.h"
#include "worker/strategy/weight_rule.h"

namespace ringmaster {

// Every step applies the worker's own gradient to its own weights. After every H-th step the
// weights of all workers are averaged: the same bits everywhere. Without an outer optimizer that
// average becomes everybody's weights. With one, the weights of the last average are updated by how
// far the average has gone from them, at every worker alike, and become everybody's weights.
// Running statistics are averaged and never extrapolated; the state of the worker's own optimizer
// (momentum, moments) stays with the worker.
//
// In the first synchronous_steps steps all apply the average of their gradients. A drain averages
// what is not averaged yet, without an outer update, so the outer optimizer knows of no drain. The
// model at a mark is the average of all workers' copies. Errors as CreateUpdateRule.
//
// Sources: Stich 2019, algorithm 1; Lin et al. 2020 (post-local SGD), section 3; Douillard et al.
// 2023 (DiLoCo), algorithm 1.
absl::StatusOr<std::unique_ptr<WeightRule>> CreateLocalSgdRule(const WeightRuleSeat& seat);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_STRATEGY_LOCAL_SGD_LOCAL_SGD_RULE_H_
