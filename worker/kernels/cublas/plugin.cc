// What libringmaster_cuda.so exports; plugin.h describes it.

#include "worker/kernels/cublas/plugin.h"

#include <cstdio>
#include <type_traits>

#include "worker/kernels/cublas/cublas_library.h"
#include "worker/kernels/cublas/devices.h"

#define RINGMASTER_EXPORT extern "C" __attribute__((visibility("default")))

namespace {

int Report(absl::StatusCode code, absl::string_view message, char* text, size_t text_bytes) {
  std::snprintf(text, text_bytes, "%.*s", static_cast<int>(message.size()), message.data());
  return static_cast<int>(code);
}

}  // namespace

RINGMASTER_EXPORT const char* ringmaster_cuda_stamp() { return ringmaster::kInterfaceStamp; }

RINGMASTER_EXPORT int ringmaster_cuda_create(int device, ringmaster::ProductPrecision precision,
                                             ringmaster::KernelLibrary** library, char* text,
                                             size_t text_bytes) {
  *library = nullptr;
  auto created = ringmaster::CublasLibrary::Create(device, precision);
  if (!created.ok())
    return Report(created.status().code(), created.status().message(), text, text_bytes);
  *library = created->release();
  return Report(absl::StatusCode::kOk, "", text, text_bytes);
}

RINGMASTER_EXPORT int ringmaster_cuda_describe(char* text, size_t text_bytes) {
  const auto described = ringmaster::DescribeDevices();
  if (!described.ok())
    return Report(described.status().code(), described.status().message(), text, text_bytes);
  return Report(absl::StatusCode::kOk, *described, text, text_bytes);
}

RINGMASTER_EXPORT int ringmaster_cuda_device_count(int* devices, char* text, size_t text_bytes) {
  const auto counted = ringmaster::CountDevices();
  if (!counted.ok())
    return Report(counted.status().code(), counted.status().message(), text, text_bytes);
  *devices = *counted;
  return Report(absl::StatusCode::kOk, "", text, text_bytes);
}

RINGMASTER_EXPORT int ringmaster_cuda_time(ringmaster::KernelLibrary* library,
                                           absl::FunctionRef<absl::Status()> work, double* seconds,
                                           char* text, size_t text_bytes) {
  const auto timed = static_cast<ringmaster::CublasLibrary*>(library)->TimeCalls(work);
  if (!timed.ok()) return Report(timed.status().code(), timed.status().message(), text, text_bytes);
  *seconds = *timed;
  return Report(absl::StatusCode::kOk, "", text, text_bytes);
}

// The loader calls through these types.
namespace ringmaster {
static_assert(std::is_same_v<decltype(ringmaster_cuda_stamp), CudaPlugin::Stamp>);
static_assert(std::is_same_v<decltype(ringmaster_cuda_create), CudaPlugin::Create>);
static_assert(std::is_same_v<decltype(ringmaster_cuda_describe), CudaPlugin::Describe>);
static_assert(std::is_same_v<decltype(ringmaster_cuda_device_count), CudaPlugin::Count>);
static_assert(std::is_same_v<decltype(ringmaster_cuda_time), CudaPlugin::Time>);
}  // namespace ringmaster
