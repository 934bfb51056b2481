#ifndef RINGMASTER_COMMON_CODEC_NONE_H_
#define RINGMASTER_COMMON_CODEC_NONE_H_

#include "common/codec/codec.h"

namespace ringmaster {

// The floats themselves: 4 * count bytes. Exact. Takes no setting.
extern const CodecDefinition kNoneCodec;

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_NONE_H_
