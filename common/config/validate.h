#ifndef RINGMASTER_COMMON_CONFIG_VALIDATE_H_
#define RINGMASTER_COMMON_CONFIG_VALIDATE_H_

#include "absl/status/status.h"
#include "common/config/known_names.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// Whether `resolved` (from Resolve) can be run. InvalidArgument lists everything that is wrong, one
// line each: field, value, what is expected and what to do. Pure, thread-safe; looks at no file and
// no device.
absl::Status Validate(const RunSpec& resolved, const KnownNames& known);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CONFIG_VALIDATE_H_
