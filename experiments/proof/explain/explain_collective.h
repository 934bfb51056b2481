#ifndef RINGMASTER_EXPERIMENTS_PROOF_EXPLAIN_EXPLAIN_COLLECTIVE_H_
#define RINGMASTER_EXPERIMENTS_PROOF_EXPLAIN_EXPLAIN_COLLECTIVE_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "common/collective/gossip.h"
#include "common/collective/schedule.h"
#include "experiments/proof/explain/story.h"

namespace ringmaster {

// Plays `schedule` for `workers` workers (at least 2), a scene a round: the messages are those of
// StepsOf, and a place holds the set of workers whose gradients are summed in it. Internal: the
// schedule adds a gradient twice, sends what nobody receives, or does not end with the whole sum
// everywhere. Pure.
absl::StatusOr<Story> ExplainCollective(const Schedule& schedule, int32_t workers);

// Plays exchanges of workers that average their weights with neighbours alone, a scene an exchange,
// until every worker's weights are in everybody's: a place holds the workers whose weights are in
// it. The messages are those of the schedules (common/collective/gossip.h). At least 2 workers.
// Internal: a message that is sent is not awaited. Pure.
absl::StatusOr<Story> ExplainGossip(GossipGraph graph, int32_t workers);

// Tells how encodings that cannot be added on the wire are exchanged, as the plan has it
// (MakeGatherPlan, common/collective/plan.h): each is gathered by all, who decode and add.
// Internal: a message that is sent is not awaited.
absl::StatusOr<Story> ExplainGather(int32_t workers);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_EXPLAIN_EXPLAIN_COLLECTIVE_H_
