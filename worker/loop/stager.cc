#include "worker/loop/stager.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/vecmath/vecmath.h"

namespace ringmaster {
namespace {

constexpr int64_t kFloatBytes = sizeof(float);

std::string NameOf(const Bucket& bucket) {
  return absl::StrCat("bucket ", bucket.id, " from the device");
}

}  // namespace

absl::StatusOr<std::unique_ptr<Stager>> Stager::Create(KernelLibrary& kernels,
                                                       const ParamLayout& layout,
                                                       const StagerOptions& options, int32_t slots,
                                                       const BufferAllocator& allocate) {
  RM_CHECK(kernels.place() == Place::kDevice || options.request.form == GradientForm::kHost);
  std::unique_ptr<Stager> stager(new Stager(kernels, layout, options));
  const int64_t arena_bytes = layout.count() * kFloatBytes;
  for (int32_t slot = 0; slot < slots; ++slot) {
    // The model then writes gradients where the peers read them.
    const bool in_exchange = allocate && kernels.place() == Place::kHost;
    RM_ASSIGN_OR_RETURN(Buffer arena,
                        in_exchange ? allocate(arena_bytes) : kernels.AllocateStaging(arena_bytes));
    stager->host_.push_back(std::move(arena));
  }
  if (stager->on_device()) {
    RM_ASSIGN_OR_RETURN(stager->device_gradients_, kernels.Allocate(arena_bytes));
    for (size_t i = 0; i < layout.buckets().size(); ++i) {
      RM_ASSIGN_OR_RETURN(CopyPoints points, CreateCopyPoints(kernels));
      stager->fetches_.push_back(std::move(points));
    }
  }
  if (options.request.form == GradientForm::kEncoded) {
    RM_ASSIGN_OR_RETURN(stager->encoder_, GradientEncoder::Create(kernels, layout, *options.codec,
                                                                  options.request.slices));
  }
  return stager;
}

// Errors have nobody left to hear them.
Stager::~Stager() {
  for (const CopyPoints& fetch : fetches_) fetch.end->Await().IgnoreError();
}

TensorView Stager::gradients(int32_t slot) {
  return {on_device() ? device_gradients_.floats() : host_[slot].floats(), 1, layout_.count(),
          kernels_.place()};
}

absl::Status Stager::StartFetch(int32_t slot, const Bucket& bucket) {
  if (!on_device()) return absl::OkStatus();
  const CopyPoints& points = fetches_[bucket.id];
  if (options_.request.form == GradientForm::kDevice) {
    RM_RETURN_IF_ERROR(kernels_.Mark(*points.begin));
    return kernels_.Mark(*points.end);
  }
  SideCopy copy;
  copy.from = device_gradients_.floats() + bucket.begin;
  copy.to = host_[slot].floats() + bucket.begin;
  copy.size_bytes = bucket.count * kFloatBytes;
  if (encoder_ != nullptr) {
    auto encoded = encoder_->Encode(device_gradients_.floats(), bucket, slot);
    if (!encoded.ok()) return Annotate(encoded.status(), NameOf(bucket));
    copy = *encoded;
  }
  copy.begin = points.begin.get();
  copy.end = points.end.get();
  return Annotate(kernels_.StartCopyToHost(copy), NameOf(bucket));
}

absl::StatusOr<bool> Stager::HasCome(const Bucket& bucket) {
  if (!on_device()) return true;
  absl::StatusOr<bool> reached = fetches_[bucket.id].end->IsReached();
  if (!reached.ok()) return Annotate(reached.status(), NameOf(bucket));
  return reached;
}

absl::Status Stager::AwaitGradient(const Bucket& bucket) {
  if (!on_device()) return absl::OkStatus();
  return Annotate(fetches_[bucket.id].begin->Await(), NameOf(bucket));
}

absl::StatusOr<BucketGradient> Stager::Fetch(int32_t slot, const Bucket& bucket) {
  if (on_device()) RM_RETURN_IF_ERROR(Annotate(fetches_[bucket.id].end->Await(), NameOf(bucket)));
  absl::Span<float> values = host_[slot].float_span().subspan(bucket.begin, bucket.count);
  switch (options_.request.form) {
    case GradientForm::kEncoded:
      return BucketGradient::Encoded(encoder_->encoded(slot, bucket.id), values);
    case GradientForm::kDevice:
      return BucketGradient::OnDevice(device_gradients_.floats() + bucket.begin, values);
    case GradientForm::kHost:
      break;
  }
  ScaleStatistics(bucket, values);
  if (options_.deterministic) RM_RETURN_IF_ERROR(RoundToGrid(bucket.id, values));
  return BucketGradient::OnHost(values);
}

void Stager::ScaleStatistics(const Bucket& bucket, absl::Span<float> values) const {
  for (const Range& range : layout_.statistics()) {
    const int64_t begin = std::max(range.begin, bucket.begin);
    const int64_t end = std::min(range.end(), bucket.end());
    if (begin < end)
      Scale(options_.statistic_scale, values.subspan(begin - bucket.begin, end - begin));
  }
}

absl::Status Stager::RoundToGrid(int32_t bucket, absl::Span<float> values) const {
  // With |g| * 2^k * N * A <= 2^24 every partial sum of N * A such values is a multiple of 2^-k
  // that float32 holds exactly.
  const float grid = std::ldexp(1.0f, options_.deterministic_bits);
  const float limit =
      std::ldexp(1.0f, 24) / static_cast<float>(int64_t{options_.workers} * options_.accumulate);
  for (float& value : values) {
    const float scaled = std::nearbyint(value * grid);
    if (!(std::fabs(scaled) <= limit)) {
      return absl::OutOfRangeError(absl::StrCat(
          "training.deterministic: gradient ", value, " in bucket ", bucket, " exceeds ",
          limit / grid, ", the largest whose sum over ", options_.workers, " workers",
          options_.accumulate > 1 ? absl::StrCat(" with ", options_.accumulate, " batches each")
                                  : "",
          " is exact with training.deterministic_bits=", options_.deterministic_bits,
          "; use fewer bits"));
    }
    value = scaled / grid;
  }
  return absl::OkStatus();
}

}  // namespace ringmaster
