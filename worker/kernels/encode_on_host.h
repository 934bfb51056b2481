#ifndef RINGMASTER_WORKER_KERNELS_ENCODE_ON_HOST_H_
#define RINGMASTER_WORKER_KERNELS_ENCODE_ON_HOST_H_

#include "absl/status/status.h"
#include "worker/kernels/kernel_library.h"

namespace ringmaster {

// What EncodeCall says, by the codecs themselves, in host memory. `call` has passed CheckCall. Allocates.
absl::Status EncodeOnHost(const EncodeCall& call);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_KERNELS_ENCODE_ON_HOST_H_
