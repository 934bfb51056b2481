#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_DESCRIPTORS_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_DESCRIPTORS_H_

#include <cstdint>

#include "absl/status/status.h"

namespace ringmaster {

// Raises this process's limit of open files (ulimit -n) as far as it may by itself; what it starts
// inherits that.
void RaiseDescriptorLimit();

// Whether the limit of open files suffices each process of a run of `processes`, and the one that
// leads them: a connection to every other, and what a process holds anyway. ResourceExhausted names
// the limit and what is needed.
absl::Status CheckDescriptors(int32_t processes);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_DESCRIPTORS_H_
