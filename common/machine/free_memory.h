#ifndef RINGMASTER_COMMON_MACHINE_FREE_MEMORY_H_
#define RINGMASTER_COMMON_MACHINE_FREE_MEMORY_H_

#include <cstdint>
#include <optional>

#include "common/machine/control_groups.h"

namespace ringmaster {

// Bytes that this process and what it starts can still take without swapping: what the system calls
// available, and no more than what the limits of its control groups leave, where pages of files
// that nobody uses count as free. Absent: the system does not say. Thread-safe.
std::optional<int64_t> FreeMemoryBytes(const ControlGroupMounts& mounts = {});

// Gives back to the system what this process has freed and its allocator keeps. For the end of
// set-up, whose copies of weights nobody takes again: it takes milliseconds, and the system zeroes
// once more what is taken later. Thread-safe.
void ReturnFreeMemory();

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_MACHINE_FREE_MEMORY_H_
