#ifndef RINGMASTER_COMMON_TRACE_TIMED_STEPS_H_
#define RINGMASTER_COMMON_TRACE_TIMED_STEPS_H_

#include <cstdint>
#include <vector>

namespace ringmaster {

class WorkerReport;

// Of a worker's steps, those that are timed, by their places in step_ms, ascending: neither of the
// warm-up nor the first of a turn. Pure, thread-safe.
std::vector<int32_t> TimedSteps(const WorkerReport& worker);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRACE_TIMED_STEPS_H_
