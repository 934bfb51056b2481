#ifndef RINGMASTER_WORKER_LOOP_BATCH_UPLOAD_H_
#define RINGMASTER_WORKER_LOOP_BATCH_UPLOAD_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "common/tensor/tensor.h"
#include "worker/data/samples.h"
#include "worker/kernels/kernel_library.h"
#include "worker/model/model.h"

namespace ringmaster {

// Brings samples to the kernel library's place: a view of the host's memory, or a copy on the
// device. The step thread's.
class BatchUpload {
 public:
  // For up to `max_batch` samples of `shape`. `kernels` outlives it.
  static absl::StatusOr<BatchUpload> Create(KernelLibrary& kernels, int64_t max_batch,
                                            const SampleShape& shape);

  // `host` with its features or tokens (whichever the shape has) and labels, all in the host's
  // memory, where the kernels see them; everything else of it is passed on. The view is valid until
  // the next Upload; on the host, also only as long as the memory of `host`.
  absl::StatusOr<BatchView> Upload(const BatchView& host);

 private:
  KernelLibrary* kernels_ = nullptr;
  SampleShape shape_;
  Buffer device_features_;
  Buffer device_tokens_;
  Buffer device_labels_;
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_LOOP_BATCH_UPLOAD_H_
