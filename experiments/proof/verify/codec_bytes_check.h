#ifndef RINGMASTER_EXPERIMENTS_PROOF_VERIFY_CODEC_BYTES_CHECK_H_
#define RINGMASTER_EXPERIMENTS_PROOF_VERIFY_CODEC_BYTES_CHECK_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "experiments/proof/verify/codec_under_check.h"

namespace ringmaster {

// Checks of what goes over the wire. FailedPrecondition where the codec breaks its promise.

// Every rank gets the same bits: two codecs, input and output at any address, encode the same input
// (ties too) to the same bytes of at most MaxEncodedBytes, index bytes among them exactly where the
// traits say so; all decode them to the same bits, and DecodeAdd is Decode and then one addition.
absl::Status CheckReplicasAgree(const CodecUnderCheck& codec, uint64_t seed);

// Decode and DecodeAdd answer InvalidArgument to every length but the one that goes with the
// output.
absl::Status CheckOtherLengthsRefused(const CodecUnderCheck& codec);

// A gradient with an infinity or a NaN is encoded, and refused by whoever decodes it.
absl::Status CheckNotFiniteRefused(const CodecUnderCheck& codec);

// Decodes `count` payloads whose bytes or length were changed at random: each gives InvalidArgument
// or finite floats, and memory on both sides of the output stays as it was. Returns how many were
// refused; at least a third must be.
absl::StatusOr<int64_t> CheckMutatedBytes(const CodecUnderCheck& codec, uint64_t seed,
                                          int64_t count);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_VERIFY_CODEC_BYTES_CHECK_H_
