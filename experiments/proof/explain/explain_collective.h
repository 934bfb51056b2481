#ifndef RINGMASTER_EXPERIMENTS_PROOF_EXPLAIN_EXPLAIN_COLLECTIVE_H_
#define RINGMASTER_EXPERIMENTS_PROOF_EXPLAIN_EXPLAIN_COLLECTIVE_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/collective/schedule.h"
#include "experiments/proof/explain/story.h"

namespace ringmaster {

// Plays `schedule` for `workers` workers (at least 2), a scene a round: the messages are those of
// StepsOf, and a place holds the set of workers whose `what` (gradient, weights) are summed in it.
// Internal: the schedule adds a gradient twice, sends what nobody receives, or does not end with
// the whole sum everywhere. Pure.
absl::StatusOr<Story> ExplainCollective(const Schedule& schedule, int32_t workers,
                                        const std::string& what = "gradient");

// An all-reduce in two halves, between which sums become updated weights.
struct Halves {
  const Schedule& first;   // ends with the sum of some chunks at each worker
  const Schedule& second;  // hands them on
  // The chunks whose weights a worker updates.
  std::function<std::vector<int32_t>(int32_t rank)> updated;
};

// Plays both halves and the update between them, as ExplainCollective. Internal: as there, or a
// worker updates a chunk of which it has no whole sum, or a chunk is updated by nobody.
absl::StatusOr<Story> ExplainHalves(const Halves& halves, int32_t workers);

// Tells how encodings that cannot be added on the wire are exchanged, as the plan has it
// (MakeGatherPlan, common/collective/plan.h): each is gathered by all, who decode and add, and,
// where the codec `votes`, take the sum's sign. Internal: a message that is sent is not awaited.
absl::StatusOr<Story> ExplainGather(int32_t workers, bool votes = false);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_EXPLAIN_EXPLAIN_COLLECTIVE_H_
