#ifndef RINGMASTER_COMMON_CONTROL_AGREEMENT_H_
#define RINGMASTER_COMMON_CONTROL_AGREEMENT_H_

#include <vector>

#include "absl/status/status.h"
#include "proto/control.pb.h"

namespace ringmaster {

// Whether processes that have joined may start together: equal data, layouts and initial weights,
// one kernel target for all that have workers, and every data plane within reach of all, as far as
// the joins tell (loopback is reached within one machine and network namespace). `joins`: by
// process index. Pure. FailedPrecondition: the first that differs, by name.
absl::Status CheckAgreement(const std::vector<Join>& joins);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CONTROL_AGREEMENT_H_
