#ifndef RINGMASTER_COMMON_CODEC_FP16_H_
#define RINGMASTER_COMMON_CODEC_FP16_H_

#include "common/codec/codec.h"

namespace ringmaster {

// IEEE binary16, rounded to nearest even: 2 * count bytes. Relative error at most 2^-11 where |x|
// >= 2^-14, absolute error at most 2^-25 below. Finite values beyond the range become the largest
// half, 65504, so that one large gradient element does not end a run. Halves may be added on the
// wire; a sum that leaves the range becomes infinite and Decode refuses it. Rounding to nearest is
// biased; with error feedback x - Decode(Encode(x)) is exact where x is in range. Error feedback is
// off by default: the rounding is not worth a second buffer. With
// spec.auto_scale the encoding is that of scaled_fp16.h.
extern const CodecDefinition kFp16Codec;

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_FP16_H_
