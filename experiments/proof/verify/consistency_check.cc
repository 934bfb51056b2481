#include "experiments/proof/verify/consistency_check.h"

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "experiments/proof/verify/shard_schedule.h"
#include "experiments/proof/verify/stability_check.h"

namespace ringmaster {

absl::StatusOr<std::string> CheckSchedules(uint64_t seed, int64_t schedules,
                                           const ShardFactory& factory) {
  ScheduleCounts counts;
  for (int64_t i = 0; i < schedules; ++i) {
    RM_RETURN_IF_ERROR(
        RunSchedule(RandomScheduleCase(seed + static_cast<uint64_t>(i)), factory, &counts));
  }
  std::string figures =
      absl::StrCat(schedules, " schedules from seed ", seed, ": ", counts.pushes, " pushes, ",
                   counts.stale, " of them stale, ", counts.repeats, " repeats refused, ",
                   counts.parked, " pulls parked and released");
  const int64_t least = schedules / 10;
  if (schedules >= 1000 &&
      (counts.parked < least || counts.stale < least || counts.repeats < least)) {
    return absl::FailedPreconditionError(absl::StrCat(
        figures, "; that little proves nothing, expected at least ", least, " of each"));
  }
  return figures;
}

absl::StatusOr<std::string> CheckConsistency(uint64_t seed, int64_t schedules) {
  RM_ASSIGN_OR_RETURN(const std::string figures, CheckSchedules(seed, schedules, MakeShardCore));
  RM_RETURN_IF_ERROR(CheckStabilityEdge());
  return absl::StrCat(figures,
                      "; delays 0, 1, 2 shrink at 0.97 and grow at 1.03 of the stability edge");
}

}  // namespace ringmaster
