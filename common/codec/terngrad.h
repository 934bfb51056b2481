#ifndef RINGMASTER_COMMON_CODEC_TERNGRAD_H_
#define RINGMASTER_COMMON_CODEC_TERNGRAD_H_

#include "common/codec/codec.h"

namespace ringmaster {

// -1, 0 or 1 times the largest magnitude of a block of spec.block floats, rounded at random: the
// layout of level_codec.h, with 2 bits each. ceil(count / 4) + 4 ceil(count / block) bytes.
// Unbiased; the variance of a block is |x|_max |x|_1 - |x|_2^2. The paper's scaler is of a layer;
// its clipping of the gradient, which is biased, is left out. Source: Wen et al. 2017, section 3.
extern const CodecDefinition kTerngradCodec;

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_TERNGRAD_H_
