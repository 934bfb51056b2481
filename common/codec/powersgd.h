#ifndef RINGMASTER_COMMON_CODEC_POWERSGD_H_
#define RINGMASTER_COMMON_CODEC_POWERSGD_H_

#include "common/codec/codec.h"

namespace ringmaster {

// PowerSGD: the gradient of each tensor, as a matrix M [first dimension, the rest], is sent as two
// factors of rank r, which one step of power iteration finds from those of the step before. Per
// bucket two sums over the ranks: P = M Q with all that goes as it is, then, P made orthonormal,
// Q = transposed(M) P. The average is P transposed(Q), and Q is where the next step begins; the
// first begins with normal numbers that all ranks draw alike.
//
// A tensor of one dimension, and one whose factors are no smaller than itself (a rank above a
// side is), goes as it is. Every rank sends r (rows + columns) floats of a matrix.
//
// Error feedback as the paper's algorithm 2 has it: M is the gradient and what is kept, and kept is
// M less P transposed(own Q), what the rank itself has sent. The authors' program and PyTorch's
// keep M less the average instead. That trains alike, since both sum to the same over the ranks;
// but then a rank's memory also takes in how its gradients differ from the average, and grows with
// the steps. codec.feedback_decay multiplies what is kept before it is added.
//
// A column of P that depends on those before it is zeros (orthogonalize.h), and so is its column of
// Q, from which no later step would recover: the next step draws that one anew.
//
// Source: Vogels et al. 2019, algorithms 1 and 2.
extern const CodecDefinition kPowersgdCodec;

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CODEC_POWERSGD_H_
