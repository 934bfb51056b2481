#ifndef RINGMASTER_COMMON_CODEC_RANDOMK_H_
#define RINGMASTER_COMMON_CODEC_RANDOMK_H_

#include "common/codec/codec.h"

namespace ringmaster {

// k = max(1, ceil(density * count)) elements, drawn anew in every step from the stream's SharedSeed
// (shared_draw.h): all ranks draw the same ones, so only their values are sent, float32 in the
// order of their indices, 4k bytes, and these may be summed on the wire.
//   Without error feedback the values are times count / k (rounded once, and never beyond the
//   largest float): unbiased, with a variance of (count / k - 1) |x|^2. With it they are as they
//   are: biased, but what is sent leaves nothing behind, where scaled values would make the memory
//   grow.
// count up to 2^31 - 1. Source: Stich et al. 2018, section 2; Konecny and Richtarik 2018.
extern const CodecDefinition kRandomkCodec;

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_RANDOMK_H_
