#ifndef RINGMASTER_WORKER_STRATEGY_BUCKET_GRADIENT_H_
#define RINGMASTER_WORKER_STRATEGY_BUCKET_GRADIENT_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "common/base/check.h"
#include "common/base/partition.h"

namespace ringmaster {

// What a bucket's gradient is when a strategy gets it.
enum class GradientForm {
  kHost,     // floats on the host
  kEncoded,  // encodings on the host, made where the gradient was computed, with the codec and
             // error feedback of the spec
  kDevice,   // floats in the memory of the GPU that computed them, until the next step's backward
};

// The forms that a strategy may ask for, besides kHost.
struct GradientOffer {
  bool encoded = false;
  bool device = false;
};

// The form in which a strategy wants all its gradients.
struct GradientRequest {
  GradientForm form = GradientForm::kHost;
  // kEncoded: by bucket, which parts of it are encoded on their own, as ranges of the arena in
  // ascending order.
  std::vector<std::vector<Range>> slices;
  // How many steps may have gradients on the host at once, in memory of their own each: 1, or 2
  // where one step's are still on their way while the next is computed.
  int32_t steps = 1;
};

// One bucket's gradient of one step, scaled; a handle that borrows the memory. Who asks for another
// form than it has fails a check.
class BucketGradient {
 public:
  BucketGradient() = default;
  static BucketGradient OnHost(absl::Span<float> values) {
    return {GradientForm::kHost, values, {}, nullptr};
  }
  static BucketGradient Encoded(absl::Span<const absl::Span<std::byte>> slices,
                                absl::Span<float> sum) {
    return {GradientForm::kEncoded, sum, slices, nullptr};
  }
  static BucketGradient OnDevice(float* values, absl::Span<float> sum) {
    return {GradientForm::kDevice, sum, {}, values};
  }

  GradientForm form() const { return form_; }

  // [bucket.count] floats, which the strategy may change. REQUIRES: form kHost.
  absl::Span<float> host() const {
    RM_CHECK(form_ == GradientForm::kHost);
    return sum_;
  }

  // The bytes that the spec's codec makes of the requested slice, which the strategy may change;
  // none for an empty slice. REQUIRES: form kEncoded.
  absl::Span<std::byte> encoded(size_t slice) const {
    RM_CHECK(form_ == GradientForm::kEncoded);
    return encoded_[slice];
  }

  // [bucket.count] floats on the GPU, complete, which the strategy may change, as it does where it
  // sums them there. REQUIRES: form kDevice.
  float* device() const {
    RM_CHECK(form_ == GradientForm::kDevice);
    return device_;
  }

  // [bucket.count] floats on the host where the strategy may put the sum of all workers' gradients.
  // Of form kHost the gradient itself lies there; otherwise they hold nothing.
  absl::Span<float> sum() const { return sum_; }

 private:
  BucketGradient(GradientForm form, absl::Span<float> sum,
                 absl::Span<const absl::Span<std::byte>> encoded, float* device)
      : form_(form), sum_(sum), encoded_(encoded), device_(device) {}

  GradientForm form_ = GradientForm::kHost;
  absl::Span<float> sum_;
  absl::Span<const absl::Span<std::byte>> encoded_;  // by slice
  float* device_ = nullptr;
};

}  // namespace ringmaster

#endif  // RINGMASTER_WORKER_STRATEGY_BUCKET_GRADIENT_H_
