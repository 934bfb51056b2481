#ifndef RINGMASTER_COMMON_EXCHANGE_HELD_WEIGHTS_H_
#define RINGMASTER_COMMON_EXCHANGE_HELD_WEIGHTS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/codec/codec.h"
#include "common/codec/stream.h"

namespace ringmaster {

// The weights that a receiver holds, where a sender tells it differences and not weights. Both ends
// keep one of these. The sender encodes how far its own weights w are from what the receiver holds,
// h; both then add the decoded difference: h += Decode(C(w - h)). What an encoding leaves out stays
// in w - h, and so comes later: h is all the memory there is. Both ends do the same additions, so
// they hold the same bits as long as nothing is lost or told twice. One thread at a time. Source:
// Philippenko and Dieuleveut 2021, "Preserved central model for faster bidirectional compression in
// distributed settings", section 2 (MCM), with a memory that takes up the whole difference.
class HeldWeights {
 public:
  // `codec` outlives this. `initial`: what both ends begin with.
  HeldWeights(const Codec& codec, absl::Span<const float> initial);

  // The sender's: encodes what leads from values()[begin, begin + weights.size()) towards
  // `weights`, and takes it up itself.
  //   out: at least MaxEncodedBytes(weights.size()).
  // Returns bytes used. InvalidArgument: weights that are not finite; these values are then
  // unspecified.
  absl::StatusOr<int64_t> Encode(const CodecStream& stream, int64_t begin,
                                 absl::Span<const float> weights, absl::Span<std::byte> out);

  // The receiver's: takes up what Encode has written of `count` values from `begin` on. Errors as
  // Codec::Decode; these values are then unspecified.
  absl::Status Add(const SharedStream& stream, absl::Span<const std::byte> encoding, int64_t begin,
                   int64_t count);

  // Both ends': the values from `begin` on are `weights`, which were told as they are.
  void Set(int64_t begin, absl::Span<const float> weights);

  absl::Span<const float> values() const { return values_; }

 private:
  const Codec& codec_;
  std::vector<float> values_;
  std::vector<float> difference_;  // the sender's, of one call
};

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_EXCHANGE_HELD_WEIGHTS_H_
