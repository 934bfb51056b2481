#include "worker/loop/batch_upload.h"

#include "common/base/status_macros.h"

namespace ringmaster {

absl::StatusOr<BatchUpload> BatchUpload::Create(KernelLibrary& kernels, int64_t max_batch,
                                                const SampleShape& shape) {
  BatchUpload upload;
  upload.kernels_ = &kernels;
  upload.shape_ = shape;
  if (kernels.place() != Place::kDevice) return upload;
  RM_ASSIGN_OR_RETURN(upload.device_labels_,
                      kernels.Allocate(max_batch * shape.labels() * sizeof(int32_t)));
  if (shape.context > 0) {
    RM_ASSIGN_OR_RETURN(upload.device_tokens_,
                        kernels.Allocate(max_batch * shape.context * sizeof(int32_t)));
  } else {
    RM_ASSIGN_OR_RETURN(upload.device_features_,
                        kernels.Allocate(max_batch * shape.features() * sizeof(float)));
  }
  return upload;
}

absl::StatusOr<BatchView> BatchUpload::Upload(const BatchView& host) {
  if (kernels_->place() != Place::kDevice) return host;
  BatchView device = host;
  const auto copy = [&](const void* from, Buffer& to, int64_t bytes) {
    return kernels_->CopyFromHost(from, to.data(), bytes);
  };
  RM_RETURN_IF_ERROR(
      copy(host.labels, device_labels_, host.count * shape_.labels() * sizeof(int32_t)));
  device.labels = reinterpret_cast<const int32_t*>(device_labels_.data());
  if (shape_.context > 0) {
    RM_RETURN_IF_ERROR(
        copy(host.tokens, device_tokens_, host.count * shape_.context * sizeof(int32_t)));
    device.tokens = reinterpret_cast<const int32_t*>(device_tokens_.data());
  } else {
    RM_RETURN_IF_ERROR(
        copy(host.features, device_features_, host.count * shape_.features() * sizeof(float)));
    device.features = device_features_.floats();
  }
  return device;
}

}  // namespace ringmaster
