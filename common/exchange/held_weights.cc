#include "common/exchange/held_weights.h"

#include <algorithm>

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/vecmath/vecmath.h"

namespace ringmaster {

HeldWeights::HeldWeights(const Codec& codec, absl::Span<const float> initial)
    : codec_(codec), values_(initial.begin(), initial.end()) {}

absl::StatusOr<int64_t> HeldWeights::Encode(const CodecStream& stream, int64_t begin,
                                            absl::Span<const float> weights,
                                            absl::Span<std::byte> out) {
  const auto count = static_cast<int64_t>(weights.size());
  RM_CHECK(begin >= 0 && begin + count <= static_cast<int64_t>(values_.size()));
  if (difference_.size() < weights.size()) difference_.resize(weights.size());
  const absl::Span<float> difference = absl::MakeSpan(difference_).first(weights.size());
  ScaledDifference(1, weights, absl::MakeConstSpan(values_).subspan(begin, count), difference);
  const int64_t bytes = codec_.Encode(stream, difference, out);
  RM_RETURN_IF_ERROR(Add(stream, out.first(bytes), begin, count));
  return bytes;
}

absl::Status HeldWeights::Add(const SharedStream& stream, absl::Span<const std::byte> encoding,
                              int64_t begin, int64_t count) {
  RM_CHECK(begin >= 0 && begin + count <= static_cast<int64_t>(values_.size()));
  return codec_.DecodeAdd(stream, encoding, absl::MakeSpan(values_).subspan(begin, count));
}

void HeldWeights::Set(int64_t begin, absl::Span<const float> weights) {
  RM_CHECK(begin >= 0 && begin + weights.size() <= values_.size());
  std::copy(weights.begin(), weights.end(), values_.begin() + begin);
}

}  // namespace ringmaster
