#ifndef RINGMASTER_COMMON_CODEC_TOPK_H_
#define RINGMASTER_COMMON_CODEC_TOPK_H_

#include "common/codec/codec.h"

namespace ringmaster {

// Keeps the k largest |in[i]|, k = max(1, ceil(density * count)) but at most count, exactly as they
// are; writes (index: int32, value: float32) pairs, index ascending: 8 * k bytes. Equal magnitudes:
// the lower index wins, so replicas agree. |x - C(x)|^2 <= (1 - k/count) |x|^2. Biased: pair with
// ErrorFeedback, to which nothing is lost: Decode(Encode(x)) + residual == x to the bit. count up
// to 2^31 - 1. Source: Stich et al. 2018, section 2.
extern const CodecDefinition kTopkCodec;

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_TOPK_H_
