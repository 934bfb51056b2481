#ifndef RINGMASTER_WORKER_LOOP_DEVICE_REPLICA_H_
#define RINGMASTER_WORKER_LOOP_DEVICE_REPLICA_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/params/param_layout.h"
#include "common/state/state.h"
#include "common/tensor/tensor.h"
#include "common/trace/trace.h"
#include "common/update/update_plan.h"
#include "worker/kernels/kernel_library.h"
#include "worker/loop/copy_points.h"
#include "worker/loop/loop_replica.h"
#include "worker/loop/update_share.h"

namespace ringmaster {

class RunSpec;

// Weights in a device's memory, with the optimizer's state, updated there by its kernels: to the
// last bit what HostReplica makes of the same gradients. These come from the host by bucket, each
// beside the update of the one before, or are summed on the device. The weights come to the host
// when somebody asks, and go back when the kernels need them after they were changed there.
//
// Threads: as Replica. Calls of another thread than the step thread ask nothing of the kernels.
class DeviceReplica final : public LoopReplica {
 public:
  // That of worker `rank`, as HostReplica::Create has it, with its errors and those of `kernels`,
  // which outlives it.
  static absl::StatusOr<std::unique_ptr<DeviceReplica>> Create(
      KernelLibrary& kernels, const RunSpec& spec, const ParamLayout& layout, int32_t rank,
      absl::Span<const float> weights, PhaseTimes& times);
  // Waits for the copies under way.
  ~DeviceReplica() override;

  // On the device, or where they were changed since on the host.
  WeightsView weights() const override;
  absl::Span<const float> OnHost() const override;
  void Replace(std::vector<float>* weights) override;
  absl::Span<float> Edit() override;
  absl::Status ToKernels() override;
  absl::Status AwaitUpdates() override;
  absl::Status ApplyAfter(int64_t samples_seen, int64_t step,
                          absl::Span<const BucketGradient> gradient) override;
  // As HostReplica's, which takes them.
  absl::StatusOr<State> Give() const override;
  absl::Status Take(const State& state) override;
  int64_t state_bytes() const override;

 private:
  DeviceReplica(KernelLibrary& kernels, const ParamLayout& layout, UpdatePlan plan,
                std::vector<UpdateShare::Slice> slices, int64_t global_batch, PhaseTimes& times);

  absl::Status Allocate();
  absl::Status StartUpload(const CopyPoints& points, const float* from, float* to,
                           int64_t count) const;
  // Waits until `host_` is read no more.
  void AwaitUpload() const;
  void AwaitUpdate() const;
  // Brings `ranges` of the weights to `host_`, behind all updates.
  void Download(absl::Span<const Range> ranges) const;
  // Starts to bring the gradient of that slice from the host, if it lies there.
  absl::Status StartGradient(size_t slice, absl::Span<const BucketGradient> average);
  absl::StatusOr<float> ClipFactorOf(absl::Span<const BucketGradient> average);
  // Updates that slice, behind its gradient.
  absl::Status Update(size_t slice, absl::Span<const BucketGradient> average,
                      const UpdateStep& step);
  absl::Status CopyState(absl::Span<std::vector<float>> arrays, bool to_host) const;

  KernelLibrary& kernels_;
  const ParamLayout& layout_;
  const UpdatePlan plan_;
  const std::vector<UpdateShare::Slice> slices_;  // ascending
  PhaseTimes& times_;

  // On the device.
  Buffer weights_, gradients_;
  Buffer state_[2];                           // UpdatePlan::arrays()
  std::vector<CopyPoints> gradient_uploads_;  // by slice
  std::unique_ptr<WorkPoint> updated_;        // behind the last update
  mutable bool updates_are_under_way_ = false;

  // Pinned: the weights of `host_version_`, as a cache, or where they are newer than those on the
  // device, the weights themselves.
  Buffer host_;
  CopyPoints upload_;
  int64_t version_ = 0;
  mutable int64_t host_version_ = 0;
  bool host_is_newer_ = true;
  mutable bool upload_is_under_way_ = false;
  mutable absl::Status failed_;  // the first thing that has
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_LOOP_DEVICE_REPLICA_H_
