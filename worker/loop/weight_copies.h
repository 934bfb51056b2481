#ifndef RINGMASTER_WORKER_LOOP_WEIGHT_COPIES_H_
#define RINGMASTER_WORKER_LOOP_WEIGHT_COPIES_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/tensor/tensor.h"
#include "worker/kernels/kernel_library.h"
#include "worker/loop/copy_points.h"
#include "worker/strategy/replica.h"

namespace ringmaster {

// Weights where somebody needs them: as they are where they lie there, else in a copy, which is
// renewed when other weights or another version are asked for. The step thread's.
class WeightCopies {
 public:
  // Of arenas of `count` elements. `kernels` outlives it.
  static absl::StatusOr<std::unique_ptr<WeightCopies>> Create(KernelLibrary& kernels,
                                                              int64_t count);
  // Waits for the copies under way.
  ~WeightCopies();
  WeightCopies(const WeightCopies&) = delete;
  WeightCopies& operator=(const WeightCopies&) = delete;

  // Where the kernels can read them. What the kernels are called for next waits for the copy, the
  // caller until all of the weights have been read: they may change again on return.
  absl::StatusOr<TensorView> ForKernels(const WeightsView& weights);

  // On the host, behind all that the kernels have been called for.
  absl::StatusOr<absl::Span<const float>> ForHost(const WeightsView& weights);

 private:
  WeightCopies(KernelLibrary& kernels, int64_t count) : kernels_(kernels), count_(count) {}

  absl::Status Upload(absl::Span<const float> host);

  KernelLibrary& kernels_;
  const int64_t count_;
  Buffer device_;  // empty where the kernels work on the host
  // Pinned memory through which weights go up, a part after the other: one is filled while the
  // other is copied.
  Buffer upload_parts_[2];
  CopyPoints uploads_[2];
  // What `device_` is a copy of.
  const float* uploaded_ = nullptr;
  int64_t uploaded_version_ = 0;
  std::vector<float> host_;  // what the device's weights were when they were last asked for here
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_LOOP_WEIGHT_COPIES_H_
