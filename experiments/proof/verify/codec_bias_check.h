#ifndef RINGMASTER_EXPERIMENTS_PROOF_VERIFY_CODEC_BIAS_CHECK_H_
#define RINGMASTER_EXPERIMENTS_PROOF_VERIFY_CODEC_BIAS_CHECK_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "experiments/proof/verify/codec_under_check.h"

namespace ringmaster {

// What many decodings of one x, each with a seed of its own, have in common.
struct BiasFigures {
  // How far their mean lies from x, in standard errors: the largest over several directions, of
  // which x itself is one. 0 where no draw differs from x; infinite where all differ alike.
  double score = 0;
  // The variance of the errors' sum over all elements, each with a sign of its own or none, over
  // the sum of their variances: the largest of several. 1 where elements are drawn independently.
  double together = 0;
  // The mean of |C(x) - x|^2 over the oracle's bound, less five standard errors; 0 without one.
  double of_bound = 0;
};

// Of `draws` decodings. InvalidArgument: the codec does not decode what it encodes.
absl::StatusOr<BiasFigures> MeasureBias(const CodecUnderCheck& codec, uint64_t seed, int64_t draws);

// The score of MeasureBias. FailedPrecondition unless it is at most kBiasScoreLimit, the elements'
// errors do not go together beyond kTogetherLimit, and the variance is within the bound. Holds by
// chance alone in all but one of 10^5 runs of an unbiased codec.
inline constexpr double kBiasScoreLimit = 5.0;
inline constexpr double kTogetherLimit = 2.0;
absl::StatusOr<double> CheckCodecUnbiased(const CodecUnderCheck& codec, uint64_t seed,
                                          int64_t draws);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROOF_VERIFY_CODEC_BIAS_CHECK_H_
