#ifndef RINGMASTER_WORKER_KERNELS_CUBLAS_DEVICE_TEXT_H_
#define RINGMASTER_WORKER_KERNELS_CUBLAS_DEVICE_TEXT_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace ringmaster {

// What is said of a GPU, apart from CUDA, so that it can be tried without one. Pure.
struct DeviceFacts {
  int device = 0;  // its number
  std::string name;
  int capability_major = 0, capability_minor = 0;
  int64_t memory_bytes = 0;
  int multiprocessors = 0;
};

// Of a device that the kernels can run on, "sm_90 NVIDIA H200". Unavailable below compute
// capability 8.0, for which the kernels are not compiled; the message begins with "cuda device".
absl::StatusOr<std::string> TargetOf(const DeviceFacts& facts);

// The device's line for `doctor`, which says so where its compute capability is below 8.0.
std::string DescriptionOf(const DeviceFacts& facts);

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_KERNELS_CUBLAS_DEVICE_TEXT_H_
