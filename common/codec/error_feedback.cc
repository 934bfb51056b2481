#include "common/codec/error_feedback.h"

#include "common/base/check.h"
#include "common/vecmath/vecmath.h"

namespace ringmaster {

ErrorFeedback::ErrorFeedback(const Codec& codec, int64_t count, double decay)
    : codec_(codec), decay_(static_cast<float>(decay)) {
  RM_CHECK(count >= 0 && decay > 0 && decay <= 1);
  residual_.resize(count, 0.0f);
}

int64_t ErrorFeedback::Encode(const CodecStream& stream, int64_t begin,
                              absl::Span<const float> gradient, absl::Span<std::byte> out) {
  RM_CHECK(begin >= 0 && begin + gradient.size() <= residual_.size());
  const absl::Span<float> residual = absl::MakeSpan(residual_).subspan(begin, gradient.size());
  if (decay_ != 1) Scale(decay_, residual);
  return codec_.EncodeCorrected(stream, gradient, residual, out);
}

State ErrorFeedback::Give() const {
  State state;
  state.AddFloats("residual", residual_);
  return state;
}

absl::Status ErrorFeedback::Take(const State& state) {
  return state.CopyTo({{"residual", absl::MakeSpan(residual_)}});
}

}  // namespace ringmaster
