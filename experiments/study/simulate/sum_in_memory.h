#ifndef RINGMASTER_EXPERIMENTS_STUDY_SIMULATE_SUM_IN_MEMORY_H_
#define RINGMASTER_EXPERIMENTS_STUDY_SIMULATE_SUM_IN_MEMORY_H_

#include <vector>

#include "absl/types/span.h"
#include "common/collective/plan.h"

namespace ringmaster {

// Does a collective at once, in no time of a simulation: every rank's `values` become what its plan
// makes of all ranks' values, to the bits that messages would bring. `plans` are of floats, those
// of all ranks of one collective; values[rank] has as many elements as they are made for, and no
// two overlap. Pure, thread-safe.
void SumInMemory(const std::vector<Plan>& plans, absl::Span<const absl::Span<float>> values);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_SIMULATE_SUM_IN_MEMORY_H_
