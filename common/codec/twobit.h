#ifndef RINGMASTER_COMMON_CODEC_TWOBIT_H_
#define RINGMASTER_COMMON_CODEC_TWOBIT_H_

#include "common/codec/codec.h"

namespace ringmaster {

// +t where in[i] >= t, -t where in[i] <= -t, else 0, for the threshold t. Two bits an element, in
// bits 2 (i % 4) of byte i / 4: 0, 1 for +t, 2 for -t, 3 for what is not finite, which no decoder
// takes: ceil(count / 4) bytes. Biased, and nothing below t is ever sent without ErrorFeedback, of
// which it is a part in the source. A step sends at most t of an element: what grows faster piles
// up. Source: MXNet, "Gradient Compression" (type 2bit); Strom 2015.
extern const CodecDefinition kTwobitCodec;

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_TWOBIT_H_
