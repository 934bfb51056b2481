#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_MEMORY_MEMORY_CHECK_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_MEMORY_MEMORY_CHECK_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace ringmaster {

class MemoryNeed;
class RunRecord;
class RunSpec;

// What runs are said to take of memory, before they start, and whether a machine has it.

// One line of what the processes of a run take (PlanMemory), by role: "2 x worker 242 MB, server
// 180 MB; together 664 MB". Pure.
std::string MemoryText(absl::Span<const MemoryNeed> needs);

// "ring: 2 x worker ...", from the spec; empty where what it needs cannot be known.
std::string MemoryTextOf(const RunSpec& resolved);
// The same of the run among these that takes most.
std::string LargestMemoryText(absl::Span<const RunSpec> resolved);

// Whether `needs` fit in `free_bytes` (FreeMemoryBytes); absent: nobody knows, and they do.
// ResourceExhausted: what is needed, what is free, what it is for most, and what to do. `limit`
// says what leaves no more, empty: the machine. Pure.
absl::Status CheckMemory(absl::Span<const MemoryNeed> needs, std::optional<int64_t> free_bytes,
                         const std::string& limit);

// The same of all processes of a run on this machine as it is now. Errors of its data set and its
// model are not told: others find them.
absl::Status CheckMemoryHere(const RunSpec& resolved);
// Of the process `process` alone, which other machines may have the others of.
absl::Status CheckMemoryHere(const RunSpec& resolved, int32_t process);

// Puts what each process of the record's spec was to take into it; nothing where that cannot be
// known.
void FillMemoryNeeds(RunRecord* record);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_MEMORY_MEMORY_CHECK_H_
