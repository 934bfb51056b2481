#include "worker/loop/batch_upload.h"

#include "common/base/status_macros.h"

namespace ringmaster {

absl::StatusOr<BatchUpload> BatchUpload::Create(KernelLibrary& kernels, int64_t max_batch, int64_t features) {
  BatchUpload upload;
  upload.kernels_ = &kernels;
  upload.features_ = features;
  if (kernels.place() == Place::kDevice) {
    RM_ASSIGN_OR_RETURN(upload.device_features_, kernels.Allocate(max_batch * features * sizeof(float)));
    RM_ASSIGN_OR_RETURN(upload.device_labels_, kernels.Allocate(max_batch * sizeof(int32_t)));
  }
  return upload;
}

absl::StatusOr<BatchView> BatchUpload::Upload(const float* features, const int32_t* labels, int64_t count) {
  if (kernels_->place() != Place::kDevice) return BatchView{features, labels, count};
  auto* device_labels = reinterpret_cast<int32_t*>(device_labels_.data());
  RM_RETURN_IF_ERROR(kernels_->CopyFromHost(features, device_features_.floats(), count * features_ * sizeof(float)));
  RM_RETURN_IF_ERROR(kernels_->CopyFromHost(labels, device_labels, count * sizeof(int32_t)));
  return BatchView{device_features_.floats(), device_labels, count};
}

}  // namespace ringmaster
