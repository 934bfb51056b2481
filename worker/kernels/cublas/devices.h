#ifndef RINGMASTER_WORKER_KERNELS_CUBLAS_DEVICES_H_
#define RINGMASTER_WORKER_KERNELS_CUBLAS_DEVICES_H_

#include <string>

#include "absl/status/statusor.h"

namespace ringmaster {

// How many devices the driver shows, usable or not: at least 1. Unavailable without driver or
// device.
absl::StatusOr<int> CountDevices();

// The target of GPU `device` ("sm_90 NVIDIA H200"). Unavailable: no driver, no such device, or one
// below compute capability 8.0, for which the kernels are not compiled; the message begins with
// "cuda driver" or "cuda device".
absl::StatusOr<std::string> UsableDevice(int device);

// A line for driver, runtime and cuBLAS and one for each device, which says so where the kernels
// cannot run on it. Unavailable without driver or device.
absl::StatusOr<std::string> DescribeDevices();

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_KERNELS_CUBLAS_DEVICES_H_
