#ifndef RINGMASTER_COMMON_CODEC_THRESHOLD_H_
#define RINGMASTER_COMMON_CODEC_THRESHOLD_H_

#include "common/codec/codec.h"

namespace ringmaster {

// Keeps every |in[i]| >= threshold as it is. int32 k, how many they are; then, where 2k < count, k
// pairs (index: int32, value: float32), index ascending, else all count floats, 0 for what is left
// out: 4 + 8k or 4 + 4 count bytes. So the length depends on the values, and is at most 4 + 4
// count. What is left out is below threshold^2 * count in energy. Biased: pair with ErrorFeedback,
// to which nothing is lost. count up to 2^31 - 1. Source: Strom 2015; Sahu et al. 2021, section 4
// (hard threshold).
extern const CodecDefinition kThresholdCodec;

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_THRESHOLD_H_
