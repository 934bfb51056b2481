#ifndef RINGMASTER_EXPERIMENTS_PROOF_EXPLAIN_EXPLAIN_GOSSIP_H_
#define RINGMASTER_EXPERIMENTS_PROOF_EXPLAIN_EXPLAIN_GOSSIP_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "common/collective/gossip.h"
#include "experiments/proof/explain/story.h"

namespace ringmaster {

// Plays exchanges of workers that average their weights with neighbours alone, a scene an exchange,
// until every worker's weights are in everybody's: a row has what part of whose weights a worker's
// are made of, by the mixing matrices (common/collective/gossip.h). The messages are those of the
// schedules. At least 2 workers. Internal: a message that is sent is not awaited, or the matrix
// takes of a worker that sends nothing. Pure.
absl::StatusOr<Story> ExplainGossip(GossipGraph graph, int32_t workers);

// What all exchanges of one period leave at most of the workers' disagreement: the largest factor
// by which the root of the summed squared distances from the average shrinks, from 0 to 1.
double DisagreementLeft(GossipGraph graph, int32_t workers);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_EXPLAIN_EXPLAIN_GOSSIP_H_
