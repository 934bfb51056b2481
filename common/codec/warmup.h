#ifndef RINGMASTER_COMMON_CODEC_WARMUP_H_
#define RINGMASTER_COMMON_CODEC_WARMUP_H_

#include <cstdint>
#include <memory>

#include "common/codec/codec.h"

namespace ringmaster {

// A codec that sends the floats themselves in the steps below `steps`, 1 or more, and is `codec`
// from then on. Who sends and who receives both know the step, so nothing on the wire says which it
// is. What error feedback keeps after a step of the warm-up is nothing.
// REQUIRES: encodings of `codec` are gathered, not summed on the wire: the warm-up's are too.
std::unique_ptr<Codec> CreateWarmup(std::unique_ptr<Codec> codec, int64_t steps);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_WARMUP_H_
