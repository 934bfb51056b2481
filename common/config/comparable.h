#ifndef RINGMASTER_COMMON_CONFIG_COMPARABLE_H_
#define RINGMASTER_COMMON_CONFIG_COMPARABLE_H_

#include "absl/status/status.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// Whether two resolved specs may stand in one table: they are equal after erasing name, strategy,
// codec and output; transport.name may differ where one of them launches threads.
// FailedPrecondition names the first field that differs, with both values. Symmetric but for the
// order in the text. Pure, thread-safe.
absl::Status CheckComparable(const RunSpec& a, const RunSpec& b);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CONFIG_COMPARABLE_H_
