#ifndef RINGMASTER_WORKER_LOOP_COPY_POINTS_H_
#define RINGMASTER_WORKER_LOOP_COPY_POINTS_H_

#include <memory>

#include "absl/status/statusor.h"
#include "common/base/status_macros.h"
#include "worker/kernels/kernel_library.h"

namespace ringmaster {

// What copies beside operations (SideCopy) set behind the operations before them and behind
// themselves: for one copy after the other.
struct CopyPoints {
  std::unique_ptr<WorkPoint> begin, end;
};

// Of `kernels`, which outlives them; its errors.
inline absl::StatusOr<CopyPoints> CreateCopyPoints(KernelLibrary& kernels) {
  CopyPoints points;
  RM_ASSIGN_OR_RETURN(points.begin, kernels.CreatePoint());
  RM_ASSIGN_OR_RETURN(points.end, kernels.CreatePoint());
  return points;
}

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_LOOP_COPY_POINTS_H_
