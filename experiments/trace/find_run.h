#ifndef RINGMASTER_EXPERIMENTS_TRACE_FIND_RUN_H_
#define RINGMASTER_EXPERIMENTS_TRACE_FIND_RUN_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace ringmaster {

class RunRecord;

// The run of a store, in the order of the store, that `name` means: its run_id, "last", an arm (the
// newest run of it), or how one run_id alone begins. NotFound: none. InvalidArgument: several
// run_ids begin so. Pure; the result is one of `records`.
absl::StatusOr<const RunRecord*> FindRun(absl::Span<const RunRecord> records,
                                         const std::string& name);

// Whether something of the run was traced.
bool HasTraces(const RunRecord& record);

// Why the run has no traces, and what to do. For one that has none.
std::string WhyNoTraces(const RunRecord& record);

// A line for each run with traces, the newest last and at most `count_max` of them; empty: there is
// none.
std::string TracedRunsText(absl::Span<const RunRecord> records, size_t count_max);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_TRACE_FIND_RUN_H_
