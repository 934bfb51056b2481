#ifndef RINGMASTER_WORKER_LOOP_UPDATE_SHARE_H_
#define RINGMASTER_WORKER_LOOP_UPDATE_SHARE_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/partition.h"
#include "common/params/param_layout.h"
#include "common/update/update_plan.h"

namespace ringmaster {

class RunSpec;

// What one worker updates.
struct UpdateShare {
  // Of one bucket.
  struct Slice {
    int32_t bucket = 0;
    Range elements;  // of the arena
  };

  UpdatePlan plan;
  std::vector<Slice> slices;  // ascending; none where servers make all updates
  int64_t global_batch = 0;   // samples of all workers' batches of a step
};

// That of worker `rank`, by optimizer and scheme (SchemeTraits::updated) of the resolved `spec`.
// Errors: as of UpdatePlan::Create. Pure.
absl::StatusOr<UpdateShare> UpdateShareOf(const RunSpec& spec, const ParamLayout& layout,
                                          int32_t rank);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_LOOP_UPDATE_SHARE_H_
