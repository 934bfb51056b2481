#ifndef RINGMASTER_COMMON_CODEC_DGC_H_
#define RINGMASTER_COMMON_CODEC_DGC_H_

#include "common/codec/codec.h"

namespace ringmaster {

// Deep gradient compression. An encoding is that of "topk" (pairs), with a density that falls over
// the first dgc.ramp_steps steps: 25 %, 6.25 %, 1.5625 % and 0.4 % for a quarter of them each, and
// `density` from then on; never below `density`. So the length follows from step and count.
//   Its memory (dgc_memory.h) keeps a velocity and an accumulation for every element.
// Source: Lin et al. 2018, "Deep gradient compression", algorithm 1 and section 3.
extern const CodecDefinition kDgcCodec;

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_DGC_H_
