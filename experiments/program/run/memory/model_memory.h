#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_MEMORY_MODEL_MEMORY_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_MEMORY_MODEL_MEMORY_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "worker/data/samples.h"

namespace ringmaster {

class RunSpec;

// Whether `kernels`, as a spec names them, work on a GPU of this machine.
bool RunsOnGpu(absl::string_view kernels);

// Bytes on the host of what one worker's model and its kernels work in beside weights and
// gradients: what layers keep between forward and backward, and scratch. Of the resolved spec, for
// samples of `shape`; 0 where the kernels run on a GPU. Makes such a model and counts what it asks
// for: no page of it is touched. Errors: as CreateModel.
absl::StatusOr<int64_t> ModelMemoryBytes(const RunSpec& resolved, const SampleShape& shape);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_MEMORY_MODEL_MEMORY_H_
