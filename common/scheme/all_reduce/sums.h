#ifndef RINGMASTER_COMMON_SCHEME_ALL_REDUCE_SUMS_H_
#define RINGMASTER_COMMON_SCHEME_ALL_REDUCE_SUMS_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/scheme/scheme.h"

namespace ringmaster {

// What schemes share whose workers sum gradients by our own collectives. Pure, thread-safe.

// The registry's own copy of a schedule's name, or of "auto", which outlives every spec; empty
// where there is no such schedule.
absl::string_view ScheduleNameOf(absl::string_view collective);

// Adds what is wrong with the codec of the resolved spec: schedules add on the way, so encodings
// must be summable; the ring can gather instead.
void CheckSummedCodec(const RunSpec& resolved, absl::string_view collective, Problems* problems);

// Of one worker in `steps` steps: what can be added in its encoded form goes the way of the
// schedule that `traits` name; the rest is gathered, whole.
absl::StatusOr<RunTraffic> SumTraffic(const RunSpec& resolved, const SchemeTraits& traits,
                                      const ParamLayout& layout, NodeId node, int64_t steps);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_SCHEME_ALL_REDUCE_SUMS_H_
