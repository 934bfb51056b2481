#ifndef RINGMASTER_WORKER_KERNELS_CHECK_CALL_H_
#define RINGMASTER_WORKER_KERNELS_CHECK_CALL_H_

#include "absl/status/status.h"
#include "worker/kernels/kernel_library.h"

namespace ringmaster {

// Whether the sizes of a call make sense; every library asks before it touches memory, so that all refuse alike.
// InvalidArgument names the operation, its sizes and what was expected. Reads no element. Thread-safe.
absl::Status CheckCall(const GemmCall& call);
absl::Status CheckCall(const BiasCall& call);
absl::Status CheckCall(const BiasGradientCall& call);
absl::Status CheckCall(const ReluBackwardCall& call);
absl::Status CheckCall(const Im2ColCall& call);
absl::Status CheckCall(const Col2ImCall& call);
absl::Status CheckCall(const MaxPoolCall& call);
absl::Status CheckCall(const MaxPoolBackwardCall& call);
absl::Status CheckCall(const SwapAxesCall& call);
absl::Status CheckCall(const SoftmaxCrossEntropyCall& call);

// Whether every label of the call, readable from the host, is in [0, classes). InvalidArgument names the first that
// is not.
absl::Status CheckLabels(const SoftmaxCrossEntropyCall& call);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_KERNELS_CHECK_CALL_H_
