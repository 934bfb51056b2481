#ifndef RINGMASTER_COMMON_CODEC_BF16_H_
#define RINGMASTER_COMMON_CODEC_BF16_H_

#include "common/codec/codec.h"

namespace ringmaster {

// bfloat16, the upper half of a float32, rounded to nearest even: 2 * count bytes, the range of
// floats. Relative error at most 2^-8, absolute error at most 2^-134 below 2^-126. Finite values
// beyond the largest bfloat16 become that. May be added on the wire, where each addition rounds to
// 8 bits: a sum of many addends of one sign loses some of them. Biased; with error feedback x -
// Decode(Encode(x)) is exact, and it is off by default, since the rounding is not worth a second
// buffer. Takes no setting. Source: Kalamkar et al. 2019.
extern const CodecDefinition kBf16Codec;

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_BF16_H_
