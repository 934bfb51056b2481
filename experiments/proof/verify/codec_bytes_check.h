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

// In several steps and of many counts: MaxEncodedBytes and MaxBytesIn are the oracle's sizes, an
// encoding has that size and those index bytes where it is fixed, and at most as many where not. A
// codec of another name than the registry's: nothing is checked.
absl::Status CheckCodecSizes(const CodecUnderCheck& codec);

// Of a codec whose encodings are summed as floats: what a rank with another lot sends decodes
// within the bound, and the sum of two encodings decodes to the sum of both, to the bit.
absl::Status CheckSumsOnTheWire(const CodecUnderCheck& codec, uint64_t seed);

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
