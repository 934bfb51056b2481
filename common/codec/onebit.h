#ifndef RINGMASTER_COMMON_CODEC_ONEBIT_H_
#define RINGMASTER_COMMON_CODEC_ONEBIT_H_

#include "common/codec/codec.h"

namespace ringmaster {

// The signs and one scale, the mean magnitude l1/d: float32 scale, then bit i % 8 of byte i / 8 is
// set where in[i] is negative: 4 + ceil(count / 8) bytes. Decodes to +-scale. l1 is added up in
// double precision in the order of sum_order.h, on processors and devices alike: the same bits
// everywhere. The residual's energy is (1 - l1^2 / (d l2^2)) of the input's. Biased: pair with
// ErrorFeedback. Source: Seide et al. 2014, with the scale of Karimireddy et al. 2019. Takes no
// setting.
extern const CodecDefinition kOnebitCodec;

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_ONEBIT_H_
