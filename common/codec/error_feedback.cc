#include "common/codec/error_feedback.h"

#include <algorithm>

#include "common/base/check.h"
#include "common/vecmath/vecmath.h"

namespace ringmaster {

ErrorFeedback::ErrorFeedback(const Codec& codec, int64_t count, bool enabled)
    : codec_(codec), enabled_(enabled && !codec.traits().exact), residual_(enabled_ ? count : 0, 0.0f) {
  RM_CHECK(count >= 0);
}

int64_t ErrorFeedback::Encode(int64_t begin, absl::Span<const float> gradient, uint64_t seed,
                              absl::Span<std::byte> out) {
  if (!enabled_) return codec_.Encode(gradient, seed, out);
  RM_CHECK(begin >= 0 && begin + gradient.size() <= residual_.size());
  if (decoded_.size() < gradient.size()) decoded_.resize(gradient.size());
  const absl::Span<float> decoded = absl::MakeSpan(decoded_).subspan(0, gradient.size());

  // The residual's slice first becomes the corrected gradient, then what its encoding leaves out.
  const absl::Span<float> corrected = absl::MakeSpan(residual_).subspan(begin, gradient.size());
  Add(gradient, corrected);
  const int64_t bytes = codec_.Encode(corrected, seed, out);
  if (codec_.Decode(out.subspan(0, bytes), decoded).ok()) {
    Subtract(decoded, corrected);
  } else {
    std::fill(corrected.begin(), corrected.end(), 0.0f);
  }
  return bytes;
}

}  // namespace ringmaster
