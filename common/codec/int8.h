#ifndef RINGMASTER_COMMON_CODEC_INT8_H_
#define RINGMASTER_COMMON_CODEC_INT8_H_

#include "common/codec/codec.h"

namespace ringmaster {

// Whole numbers of -127 to 127, rounded to nearest, in blocks of spec.block floats whose largest
// magnitude is 127: the layout of level_codec.h, with 8 bits each. count + 4 ceil(count / block)
// bytes. Absolute error at most 1/254 of the block's largest magnitude. Biased; error feedback is
// off by default, since little is left out.
extern const CodecDefinition kInt8Codec;

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_INT8_H_
