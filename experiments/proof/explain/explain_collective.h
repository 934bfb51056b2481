#ifndef RINGMASTER_EXPERIMENTS_PROOF_EXPLAIN_EXPLAIN_COLLECTIVE_H_
#define RINGMASTER_EXPERIMENTS_PROOF_EXPLAIN_EXPLAIN_COLLECTIVE_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "common/collective/schedule.h"
#include "experiments/proof/explain/story.h"

namespace ringmaster {

// Plays `schedule` for `workers` workers (at least 2), a scene a round: the messages are those of
// StepsOf, and a place holds the set of workers whose gradients are summed in it. Internal: the
// schedule adds a gradient twice, sends what nobody receives, or does not end with the whole sum
// everywhere. Pure.
absl::StatusOr<Story> ExplainCollective(const Schedule& schedule, int32_t workers);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_EXPLAIN_EXPLAIN_COLLECTIVE_H_
