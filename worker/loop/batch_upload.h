#ifndef RINGMASTER_WORKER_LOOP_BATCH_UPLOAD_H_
#define RINGMASTER_WORKER_LOOP_BATCH_UPLOAD_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "common/tensor/tensor.h"
#include "worker/kernels/kernel_library.h"
#include "worker/model/model.h"

namespace ringmaster {

// Brings samples to the kernel library's place: a view of the host's memory, or a copy on the device. The step thread's.
class BatchUpload {
 public:
  // For up to `max_batch` samples of `features` floats. `kernels` outlives it.
  static absl::StatusOr<BatchUpload> Create(KernelLibrary& kernels, int64_t max_batch, int64_t features);

  // The view is valid until the next Upload; on the host, also only as long as the arguments.
  absl::StatusOr<BatchView> Upload(const float* features, const int32_t* labels, int64_t count);

 private:
  KernelLibrary* kernels_ = nullptr;
  int64_t features_ = 0;
  Buffer device_features_;
  Buffer device_labels_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_LOOP_BATCH_UPLOAD_H_
