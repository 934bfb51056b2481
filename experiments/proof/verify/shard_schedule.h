#ifndef RINGMASTER_EXPERIMENTS_PROOF_VERIFY_SHARD_SCHEDULE_H_
#define RINGMASTER_EXPERIMENTS_PROOF_VERIFY_SHARD_SCHEDULE_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "experiments/proof/verify/shard_under_check.h"

namespace ringmaster {

// One run on one shard: everybody makes `steps` steps, then drains; what happens when is drawn from
// `seed`.
struct ScheduleCase {
  uint64_t seed = 0;
  int32_t workers = 0;
  int32_t parts = 0;
  int64_t steps = 0;
  bool bsp = false;
  std::optional<int64_t> bound;  // of SSP, 0 with bsp; absent: asynchronous
  bool clips = false;  // bsp only: gradients are clipped by their global norm, so that all parts
                       // update at once
};

// A case of random size (1 to 6 workers, 1 to 3 parts, 1 to 6 steps) and of the consistency model
// that `seed` falls on: SSP three times in five, BSP (half of it with clipping) and asynchronous
// once each.
ScheduleCase RandomScheduleCase(uint64_t seed);

// "seed 7: 3 workers, 2 parts, 5 steps, SSP(1)"
std::string ToString(const ScheduleCase& c);

// What a schedule exercised: a check of schedules in which nothing happens proves nothing.
struct ScheduleCounts {
  int64_t pushes = 0;
  int64_t repeats = 0;  // pushes delivered a second time, all refused
  int64_t parked = 0;   // pulls that were not answered at once
  int64_t stale = 0;    // contributions applied with staleness above 0
};

// Delivers pushes and pulls in a random order (parts and pulls overtake each other, some pushes
// come twice) and compares with an oracle that knows nothing of clock tables. With plain SGD at
// rate 1 and gradients that are 1 at one element of the part, an element for each (worker, step),
// the weights say of every single contribution how often it was applied. Held against the oracle:
//   - every weight, at each answer, and all at the end: nothing is lost, nothing is applied twice;
//   - a read at clock c sees every update of clocks <= c - bound - 1, and no step starts more than
//     `bound` clocks ahead of the slowest worker; under BSP it sees exactly the updates of
//     clocks < c, in every part;
//   - pulls are answered exactly when they may be, no earlier, no later, and in the end all are;
//   - versions, and the histogram of staleness;
//   - with clipping no part is updated before the last, and each contribution counts as the norm
//     over all parts says;
//   - a repeated push is refused and changes nothing.
// Adds to *counts. FailedPrecondition names the case and the first difference.
absl::Status RunSchedule(const ScheduleCase& c, const ShardFactory& factory,
                         ScheduleCounts* counts);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_VERIFY_SHARD_SCHEDULE_H_
