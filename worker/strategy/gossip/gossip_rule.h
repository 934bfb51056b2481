#ifndef RINGMASTER_WORKER_STRATEGY_GOSSIP_GOSSIP_RULE_H_
#define RINGMASTER_WORKER_STRATEGY_GOSSIP_GOSSIP_RULE_H_

#include <memory>

#include "absl/status/statusor.h"
#include "worker/strategy/weight_rule.h"

namespace ringmaster {

// Before every every_steps-th step a worker's weights go to its neighbours, while it computes the
// gradient at these weights. Then it takes the average of its own and what has arrived, and applies
// the gradient: average, then step, so the exchange is hidden (Lian et al. 2017, algorithm 1).
// A drain moves nobody: it makes the average of all workers in an arena of its own, which is the
// model until the next step. The model at a mark is the average of all workers' copies. No errors.
absl::StatusOr<std::unique_ptr<WeightRule>> CreateGossipRule(const WeightRuleSeat& seat);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_STRATEGY_GOSSIP_GOSSIP_RULE_H_
