#ifndef RINGMASTER_COMMON_CODEC_SEIDE_H_
#define RINGMASTER_COMMON_CODEC_SEIDE_H_

#include "common/codec/codec.h"

namespace ringmaster {

// 1-bit SGD: signs and two values, the mean of all elements whose sign bit is clear and the mean
// magnitude of the others: float32, float32, then bit i % 8 of byte i / 8 is set where in[i] is
// negative: 8 + ceil(count / 8) bytes. Of all pairs of values for two such groups these leave the
// least energy. Both sums are in double precision. Biased: pair with ErrorFeedback. Takes no
// setting. Source: Seide et al. 2014, section 3, with one pair for an encoding where the paper has
// one for each column of a matrix.
extern const CodecDefinition kSeideCodec;

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_SEIDE_H_
