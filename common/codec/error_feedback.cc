#include "common/codec/error_feedback.h"

#include "common/base/check.h"

namespace ringmaster {

ErrorFeedback::ErrorFeedback(const Codec& codec, int64_t count, bool enabled)
    : codec_(codec), enabled_(enabled && !codec.traits().exact), residual_(enabled_ ? count : 0, 0.0f) {
  RM_CHECK(count >= 0);
}

int64_t ErrorFeedback::Encode(int64_t begin, absl::Span<const float> gradient, uint64_t seed,
                              absl::Span<std::byte> out) {
  if (!enabled_) return codec_.Encode(gradient, seed, out);
  RM_CHECK(begin >= 0 && begin + gradient.size() <= residual_.size());
  return codec_.EncodeCorrected(gradient, seed, absl::MakeSpan(residual_).subspan(begin, gradient.size()), out);
}

}  // namespace ringmaster
