#ifndef RINGMASTER_COMMON_MACHINE_PROCESS_COSTS_H_
#define RINGMASTER_COMMON_MACHINE_PROCESS_COSTS_H_

#include <cstdint>
#include <optional>
#include <string>

namespace ringmaster {

// What this process has taken of its machine so far. Thread-safe.

// Computing time of all its threads, user and system, in seconds. A system call, about a
// microsecond.
double ProcessCpuSeconds();

// Proportional set size in bytes: resident pages, each by its share where several processes have
// it. Absent: the system does not tell (Linux before 4.14). Walks all pages, about 0.1 ms for each
// MB: not for timed steps. `proc` is where the file system is mounted.
std::optional<int64_t> ProcessPssBytes(const std::string& proc = "/proc");

// The largest resident set size so far, in bytes; pages that are shared count in whole. Absent: the
// system does not tell.
std::optional<int64_t> ProcessPeakRssBytes(const std::string& proc = "/proc");

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_MACHINE_PROCESS_COSTS_H_
