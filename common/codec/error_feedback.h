#ifndef RINGMASTER_COMMON_CODEC_ERROR_FEEDBACK_H_
#define RINGMASTER_COMMON_CODEC_ERROR_FEEDBACK_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "common/codec/codec.h"

namespace ringmaster {

// The sender's side of a lossy codec: adds what earlier steps left out, encodes, and remembers what this encoding
// leaves out. Source: Seide et al. 2014, section 3; Karimireddy et al. 2019, algorithm 1.
// One thread at a time. With `enabled` false, or an exact codec, it only encodes and remembers nothing.
class ErrorFeedback {
 public:
  // For an arena of `count` elements; `codec` must outlive this object.
  ErrorFeedback(const Codec& codec, int64_t count, bool enabled);

  // Encodes (gradient + residual of the slice) and keeps the new residual.
  //   begin: the slice's first element in the arena.   gradient: [n], unchanged.   out: at least MaxEncodedBytes(n).
  // Returns bytes used. A gradient that is not finite is encoded all the same, for the receiver to refuse; what was
  // remembered of its slice is then forgotten.
  int64_t Encode(int64_t begin, absl::Span<const float> gradient, uint64_t seed, absl::Span<std::byte> out);

  // What is still to be sent, of the whole arena; empty when nothing is remembered.
  absl::Span<const float> residual() const { return residual_; }

 private:
  const Codec& codec_;
  const bool enabled_;
  std::vector<float> residual_;  // [count] when enabled
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_ERROR_FEEDBACK_H_
