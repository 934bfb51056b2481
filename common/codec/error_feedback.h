#ifndef RINGMASTER_COMMON_CODEC_ERROR_FEEDBACK_H_
#define RINGMASTER_COMMON_CODEC_ERROR_FEEDBACK_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "common/codec/memory.h"

namespace ringmaster {

// Adds `decay` times what earlier steps left out, encodes, and keeps what this encoding leaves out;
// of a slice whose gradient was not finite, nothing. With a decay below 1 old errors fade. Source:
// Seide et al. 2014, section 3; Karimireddy et al. 2019, algorithm 1; the decay: Wu et al. 2018
// (ECQ-SGD, beta).
class ErrorFeedback : public CodecMemory {
 public:
  // For an arena of `count` elements; `decay` in (0, 1]; `codec` must outlive this object.
  ErrorFeedback(const Codec& codec, int64_t count, double decay = 1);

  int64_t Encode(const CodecStream& stream, int64_t begin, absl::Span<const float> gradient,
                 absl::Span<std::byte> out) override;
  // The array "residual".
  State Give() const override;
  int64_t state_bytes() const override {
    return static_cast<int64_t>(residual_.size() * sizeof(float));
  }
  absl::Status Take(const State& state) override;

  // What is still to be sent, of the whole arena.
  absl::Span<const float> residual() const { return residual_; }

 private:
  const Codec& codec_;
  const float decay_;
  std::vector<float> residual_;  // [count]
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_ERROR_FEEDBACK_H_
