#include "worker/loop/stager.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/vecmath/vecmath.h"

namespace ringmaster {

absl::StatusOr<std::unique_ptr<Stager>> Stager::Create(KernelLibrary& kernels, const ParamLayout& layout,
                                                       const StagerOptions& options, int32_t slots,
                                                       const BufferAllocator& allocate) {
  std::unique_ptr<Stager> stager(new Stager(kernels, layout, options));
  const int64_t arena_bytes = layout.count() * static_cast<int64_t>(sizeof(float));
  for (int32_t slot = 0; slot < slots; ++slot) {
    // The model then writes gradients where the peers read them.
    const bool in_exchange = allocate && kernels.place() == Place::kHost;
    RM_ASSIGN_OR_RETURN(Buffer arena, in_exchange ? allocate(arena_bytes) : kernels.AllocateStaging(arena_bytes));
    stager->host_.push_back(std::move(arena));
  }
  if (kernels.place() == Place::kDevice) {
    RM_ASSIGN_OR_RETURN(stager->device_gradients_, kernels.Allocate(arena_bytes));
    RM_ASSIGN_OR_RETURN(stager->device_weights_, kernels.Allocate(arena_bytes));
  }
  return stager;
}

TensorView Stager::gradients(int32_t slot) {
  const bool on_device = kernels_.place() == Place::kDevice;
  return {on_device ? device_gradients_.floats() : host_[slot].floats(), 1, layout_.count(), kernels_.place()};
}

absl::StatusOr<absl::Span<float>> Stager::Fetch(int32_t slot, const Bucket& bucket) {
  absl::Span<float> values = host_[slot].float_span().subspan(bucket.begin, bucket.count);
  if (kernels_.place() == Place::kDevice) {
    RM_RETURN_IF_ERROR(kernels_.CopyToHost(device_gradients_.floats() + bucket.begin, values.data(),
                                           bucket.count * static_cast<int64_t>(sizeof(float))));
    RM_RETURN_IF_ERROR(kernels_.Finish());
  }
  ScaleStatistics(bucket, values);
  if (options_.deterministic) RM_RETURN_IF_ERROR(RoundToGrid(bucket.id, values));
  return values;
}

void Stager::ScaleStatistics(const Bucket& bucket, absl::Span<float> values) const {
  for (const Range& range : layout_.statistics()) {
    const int64_t begin = std::max(range.begin, bucket.begin);
    const int64_t end = std::min(range.end(), bucket.end());
    if (begin < end) Scale(options_.statistic_scale, values.subspan(begin - bucket.begin, end - begin));
  }
}

absl::Status Stager::RoundToGrid(int32_t bucket, absl::Span<float> values) const {
  // With |g| * 2^k * N * A <= 2^24 every partial sum of N * A such values is a multiple of 2^-k that float32 holds
  // exactly.
  const float grid = std::ldexp(1.0f, options_.deterministic_bits);
  const float limit = std::ldexp(1.0f, 24) / static_cast<float>(int64_t{options_.workers} * options_.accumulate);
  for (float& value : values) {
    const float scaled = std::nearbyint(value * grid);
    if (!(std::fabs(scaled) <= limit)) {
      return absl::OutOfRangeError(absl::StrCat(
          "training.deterministic: gradient ", value, " in bucket ", bucket, " exceeds ", limit / grid,
          ", the largest whose sum over ", options_.workers, " workers",
          options_.accumulate > 1 ? absl::StrCat(" with ", options_.accumulate, " batches each") : "",
          " is exact with training.deterministic_bits=",
          options_.deterministic_bits, "; use fewer bits"));
    }
    value = scaled / grid;
  }
  return absl::OkStatus();
}

absl::StatusOr<TensorView> Stager::Weights(absl::Span<const float> host, int64_t version) {
  if (kernels_.place() != Place::kDevice) {
    // Kernels only read weights; the view's pointer is not const because gradients share the type.
    return TensorView{const_cast<float*>(host.data()), 1, layout_.count(), Place::kHost};
  }
  if (version != uploaded_version_) {
    RM_RETURN_IF_ERROR(kernels_.CopyFromHost(host.data(), device_weights_.floats(),
                                             layout_.count() * static_cast<int64_t>(sizeof(float))));
    // The host side may be swapped or updated as soon as this returns.
    RM_RETURN_IF_ERROR(kernels_.Finish());
    uploaded_version_ = version;
  }
  return TensorView{device_weights_.floats(), 1, layout_.count(), Place::kDevice};
}

}  // namespace ringmaster
