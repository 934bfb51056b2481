#ifndef RINGMASTER_WORKER_KERNELS_CUBLAS_SIDE_COPIES_H_
#define RINGMASTER_WORKER_KERNELS_CUBLAS_SIDE_COPIES_H_

#include <cuda_runtime.h>

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/kernels/kernel_library.h"

namespace ringmaster {

// A point in the work of one device: an event without times, for which a thread sleeps.
class CudaPoint final : public WorkPoint {
 public:
  static absl::StatusOr<std::unique_ptr<CudaPoint>> Create(int device);
  ~CudaPoint() override;
  CudaPoint(const CudaPoint&) = delete;
  CudaPoint& operator=(const CudaPoint&) = delete;

  absl::StatusOr<bool> IsReached() override;
  absl::Status Await() override;

  // Sets it behind what `stream`, of the same device, has been given so far.
  absl::Status Record(cudaStream_t stream);
  // What `stream` is given from now on waits for it; the host does not.
  absl::Status Hold(cudaStream_t stream);

 private:
  explicit CudaPoint(int device) : device_(device) {}

  const int device_;
  cudaEvent_t event_ = nullptr;
};

// The copies of one device that go on beside its operations, on a stream of their own, one after
// the other.
class SideCopies {
 public:
  SideCopies() = default;
  // Waits for the copies.
  ~SideCopies();
  SideCopies(const SideCopies&) = delete;
  SideCopies& operator=(const SideCopies&) = delete;

  // Once, before anything else.
  absl::Status Init(int device);
  // Starts `copy`, whose points are CudaPoints, in the direction of `kind`, behind what
  // `operations` has been given so far.
  absl::Status Start(const SideCopy& copy, cudaMemcpyKind kind, cudaStream_t operations);

 private:
  int device_ = 0;
  cudaStream_t stream_ = nullptr;
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_KERNELS_CUBLAS_SIDE_COPIES_H_
