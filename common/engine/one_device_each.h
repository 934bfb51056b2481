#ifndef RINGMASTER_COMMON_ENGINE_ONE_DEVICE_EACH_H_
#define RINGMASTER_COMMON_ENGINE_ONE_DEVICE_EACH_H_

#include <string>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace ringmaster {

// NCCL takes one rank a GPU: the kernels of two ranks on one would wait for each other. `devices`
// names each rank's, by rank, with a name that no other device on any machine has. InvalidArgument
// names the first two ranks that share one and what lets them. Pure, thread-safe.
absl::Status CheckOneDeviceEach(absl::Span<const std::string> devices);

// The same before any rank is started: whether `ranks` of them, on the devices from `first_device`
// on, fit a machine that shows `devices`.
struct DeviceDemand {
  int ranks = 0;
  int first_device = 0;
  int devices = 0;
};
absl::Status CheckOneDeviceEach(const DeviceDemand& demand);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_ENGINE_ONE_DEVICE_EACH_H_
