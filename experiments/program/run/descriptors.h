#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_DESCRIPTORS_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_DESCRIPTORS_H_

#include <cstdint>
#include <optional>

#include "absl/status/status.h"

namespace ringmaster {

// Raises this process's limit of open files (ulimit -n) as far as it may by itself; what it starts
// inherits that.
void RaiseDescriptorLimit();

// How many files a process of a run of `processes`, or the one that leads them, may have open at
// once.
int64_t DescriptorsNeeded(int32_t processes);

// This process's limit of open files. Absent: there is none.
std::optional<int64_t> DescriptorLimit();

// Whether the limit of open files suffices each process of a run of `processes`, and the one that
// leads them: a connection to every other, and what a process holds anyway. ResourceExhausted names
// the limit and what is needed.
absl::Status CheckDescriptors(int32_t processes);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_DESCRIPTORS_H_
