#ifndef RINGMASTER_COMMON_CODEC_SIGNSGD_H_
#define RINGMASTER_COMMON_CODEC_SIGNSGD_H_

#include "common/codec/codec.h"

namespace ringmaster {

// The signs alone: bit i % 8 of byte i / 8 is set where in[i] is negative, bit `count` where the
// gradient is not finite: floor(count / 8) + 1 bytes. Decodes to 1 and -1. No magnitude is sent, so
// the gradient that an update is made from is the sign of all senders' sum, a majority vote, and
// the learning rate is the step of every weight. Biased. Takes no setting. Source: Bernstein et al.
// 2018 (signSGD with majority vote), algorithm 1.
extern const CodecDefinition kSignsgdCodec;

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_SIGNSGD_H_
