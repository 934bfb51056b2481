#ifndef RINGMASTER_COMMON_CODEC_INT4_H_
#define RINGMASTER_COMMON_CODEC_INT4_H_

#include "common/codec/codec.h"

namespace ringmaster {

// Whole numbers of -7 to 7, rounded to nearest, in blocks of spec.block floats whose largest
// magnitude is 7: the layout of level_codec.h, with 4 bits each. ceil(count / 2) + 4 ceil(count /
// block) bytes. Absolute error at most 1/14 of the block's largest magnitude; what is below that is
// left out whole, so it is biased, and error feedback is on by default.
extern const CodecDefinition kInt4Codec;

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_INT4_H_
