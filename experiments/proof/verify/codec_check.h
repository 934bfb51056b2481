#ifndef RINGMASTER_EXPERIMENTS_PROOF_VERIFY_CODEC_CHECK_H_
#define RINGMASTER_EXPERIMENTS_PROOF_VERIFY_CODEC_CHECK_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "experiments/proof/verify/codec_under_check.h"

namespace ringmaster {

// The registry's codec of a resolved spec.
CodecUnderCheck CodecOf(const CodecSpec& spec);

// The checks of one codec. All are FailedPrecondition where the codec breaks its promise, naming
// the input and the figures; all repeat with the same seed.

// Decode(Encode(x)) keeps the codec's bound on every input of CodecInputs: that of the oracle that
// the registry has under its name, or, where it says that it is exact, every bit. Unimplemented: a
// codec that is neither exact nor unbiased and has no oracle.
absl::Status CheckCodecBound(const CodecUnderCheck& codec, uint64_t seed);

// Decode(Encode(x)) is exactly what the oracle's definition makes of x, on inputs without zeros and
// extremes. A codec of another name than the registry's: nothing is checked.
absl::Status CheckCodecDefinition(const CodecUnderCheck& codec, uint64_t seed);

// What ErrorFeedback sends and what it keeps add up to the gradient: to the bit for exact codecs
// and where the oracle says so; for any codec up to the two roundings. And with a memory that is
// not empty EncodeCorrected is to the bit the four steps of its definition.
absl::Status CheckCodecRestores(const CodecUnderCheck& codec, uint64_t seed);

struct CodecFigures {
  int64_t inputs = 0;
  int64_t mutated_payloads = 0;
  int64_t refused = 0;
  double bias_score = 0;  // of unbiased codecs
};

// All that is checked of one codec: the above (CheckCodecUnbiased of codec_bias_check.h only where
// the codec says that it is) and codec_bytes_check.h.
//   effort: mutated payloads; a fifth of the draws of the bias score.
absl::StatusOr<CodecFigures> CheckCodec(const CodecUnderCheck& codec, uint64_t seed,
                                        int64_t effort);

// CheckCodec on every codec of the registry with each of its ProofSettings.
// Returns a line of figures. About 0.1 s for effort 1000.
absl::StatusOr<std::string> CheckCodecs(uint64_t seed, int64_t effort);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_VERIFY_CODEC_CHECK_H_
