#ifndef RINGMASTER_COMMON_CODEC_QSGD_H_
#define RINGMASTER_COMMON_CODEC_QSGD_H_

#include "common/codec/codec.h"

namespace ringmaster {

// Whole numbers of -levels to levels, rounded at random, in blocks of spec.block floats whose L2
// norm (spec.max_norm: largest magnitude) is `levels`: the layout of level_codec.h, with 1 +
// ceil(lg(levels + 1)) bits each, where the paper has Elias codes. Unbiased; with the norm the
// variance is at most min(block / levels^2, sqrt(block) / levels) of a block's energy. Source:
// Alistarh et al. 2017, section 3; blocks and the largest magnitude: section 5.
extern const CodecDefinition kQsgdCodec;

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_QSGD_H_
