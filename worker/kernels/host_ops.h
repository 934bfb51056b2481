#ifndef RINGMASTER_WORKER_KERNELS_HOST_OPS_H_
#define RINGMASTER_WORKER_KERNELS_HOST_OPS_H_

#include "absl/status/status.h"
#include "worker/kernels/calls.h"

// The operations that all libraries in host memory share. Sizes have been checked (check_call.h).
// Thread-safe.
namespace ringmaster::host {

void Compute(const FillZeroCall& call);
void Compute(const CopyFloatsCall& call);
// By the codecs themselves. Allocates.
absl::Status Compute(const EncodeCall& call);

}  // namespace ringmaster::host

#endif  // RINGMASTER_WORKER_KERNELS_HOST_OPS_H_
