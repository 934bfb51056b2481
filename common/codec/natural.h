#ifndef RINGMASTER_COMMON_CODEC_NATURAL_H_
#define RINGMASTER_COMMON_CODEC_NATURAL_H_

#include "common/codec/codec.h"

namespace ringmaster {

// Natural compression: every float becomes the power of two below or above, at random so that the
// mean over the draws is the float itself. One byte an element, its exponent, then bit i % 8 of
// byte i / 8 is set where in[i] is negative: count + ceil(count / 8) bytes. Unbiased, with a
// variance of at most an eighth of the energy; magnitudes of 2^127 and more become 2^127. Takes no
// setting. Source: Horvath et al. 2019, definition 1.
extern const CodecDefinition kNaturalCodec;

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_NATURAL_H_
