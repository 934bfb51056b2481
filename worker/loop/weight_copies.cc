#include "worker/loop/weight_copies.h"

#include <algorithm>
#include <cstring>

#include "common/base/status_macros.h"

namespace ringmaster {
namespace {

constexpr int64_t kFloatBytes = sizeof(float);
// Of the weights on their way to a device: long enough for a copy at full rate, short beside an
// arena.
constexpr int64_t kUploadPartFloats = int64_t{1} << 20;

}  // namespace

absl::StatusOr<std::unique_ptr<WeightCopies>> WeightCopies::Create(KernelLibrary& kernels,
                                                                   int64_t count) {
  std::unique_ptr<WeightCopies> copies(new WeightCopies(kernels, count));
  if (kernels.place() == Place::kHost) return copies;
  RM_ASSIGN_OR_RETURN(copies->device_, kernels.Allocate(count * kFloatBytes));
  for (int part = 0; part < 2; ++part) {
    RM_ASSIGN_OR_RETURN(copies->upload_parts_[part],
                        kernels.AllocateStaging(kUploadPartFloats * kFloatBytes));
    RM_ASSIGN_OR_RETURN(copies->uploads_[part], CreateCopyPoints(kernels));
  }
  return copies;
}

// Errors have nobody left to hear them. What is not made when Create fails is null.
WeightCopies::~WeightCopies() {
  for (const CopyPoints& upload : uploads_) {
    if (upload.end != nullptr) upload.end->Await().IgnoreError();
  }
}

absl::StatusOr<TensorView> WeightCopies::ForKernels(const WeightsView& weights) {
  if (kernels_.place() == Place::kHost || weights.values.place == Place::kDevice)
    return weights.values;
  if (weights.values.data != uploaded_ || weights.version != uploaded_version_) {
    RM_RETURN_IF_ERROR(Annotate(Upload(weights.host()), "weights to the device"));
    uploaded_ = weights.values.data;
    uploaded_version_ = weights.version;
  }
  return TensorView{device_.floats(), 1, count_, Place::kDevice};
}

absl::StatusOr<absl::Span<const float>> WeightCopies::ForHost(const WeightsView& weights) {
  if (weights.values.place != Place::kDevice) return weights.host();
  host_.resize(count_);
  const absl::Status copied =
      kernels_.CopyToHost(weights.values.data, host_.data(), count_ * kFloatBytes);
  RM_RETURN_IF_ERROR(Annotate(copied, "weights from the device"));
  RM_RETURN_IF_ERROR(Annotate(kernels_.Finish(), "weights from the device"));
  return absl::MakeConstSpan(host_);
}

absl::Status WeightCopies::Upload(absl::Span<const float> host) {
  int part = 0;
  for (int64_t begin = 0; begin < count_; begin += kUploadPartFloats, part = 1 - part) {
    const CopyPoints& points = uploads_[part];
    RM_RETURN_IF_ERROR(points.end->Await());
    SideCopy copy;
    copy.from = upload_parts_[part].data();
    copy.to = device_.floats() + begin;
    copy.size_bytes = std::min(kUploadPartFloats, count_ - begin) * kFloatBytes;
    copy.begin = points.begin.get();
    copy.end = points.end.get();
    std::memcpy(upload_parts_[part].data(), host.data() + begin,
                static_cast<size_t>(copy.size_bytes));
    RM_RETURN_IF_ERROR(kernels_.StartCopyFromHost(copy));
  }
  // Copies come one after the other, so the last one's end is that of all.
  return count_ == 0 ? absl::OkStatus() : kernels_.OrderAfter(*uploads_[1 - part].end);
}

}  // namespace ringmaster
