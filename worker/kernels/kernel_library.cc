#include "worker/kernels/kernel_library.h"

#include "common/base/status_macros.h"
#include "worker/kernels/check_call.h"

namespace ringmaster {

absl::Status KernelLibrary::Run(const Operation& operation) {
  RM_RETURN_IF_ERROR(CheckCall(operation));
  return Make(operation);
}

absl::Status KernelLibrary::RunSegment(absl::Span<const Operation> operations) {
  for (const Operation& operation : operations) RM_RETURN_IF_ERROR(CheckCall(operation));
  return MakeSegment(operations);
}

}  // namespace ringmaster
