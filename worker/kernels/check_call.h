#ifndef RINGMASTER_WORKER_KERNELS_CHECK_CALL_H_
#define RINGMASTER_WORKER_KERNELS_CHECK_CALL_H_

#include "absl/status/status.h"
#include "worker/kernels/calls.h"

namespace ringmaster {

// Whether the sizes of a call make sense; KernelLibrary asks before any library makes it, so that
// all refuse alike. InvalidArgument names the operation, its sizes and what was expected. Reads no
// element. Thread-safe.
absl::Status CheckCall(const Operation& operation);

// Whether every label and token of a call that has some is a class or a symbol of its vocabulary.
// They are readable from the host. InvalidArgument names the first that is not. Thread-safe.
absl::Status CheckIndices(const Operation& operation);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_KERNELS_CHECK_CALL_H_
