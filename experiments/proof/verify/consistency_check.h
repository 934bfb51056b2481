#ifndef RINGMASTER_EXPERIMENTS_PROOF_VERIFY_CONSISTENCY_CHECK_H_
#define RINGMASTER_EXPERIMENTS_PROOF_VERIFY_CONSISTENCY_CHECK_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "experiments/proof/verify/shard_under_check.h"

namespace ringmaster {

// Runs `schedules` random schedules (RunSchedule), seeded seed, seed + 1, ..., on shards from
// `factory`. Returns a line of figures: how many schedules, pushes, parked pulls, stale
// contributions. FailedPrecondition: the first schedule in which the shard and the oracle differ;
// or schedules in which hardly anything happens (1000 and more only).
absl::StatusOr<std::string> CheckSchedules(uint64_t seed, int64_t schedules,
                                           const ShardFactory& factory);

// CheckSchedules on ShardCore, then CheckStabilityEdge. About 40 us a schedule and a second for the
// edge.
absl::StatusOr<std::string> CheckConsistency(uint64_t seed, int64_t schedules);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_VERIFY_CONSISTENCY_CHECK_H_
