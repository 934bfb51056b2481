#ifndef RINGMASTER_WORKER_KERNELS_CPU_WIDE_ATTENTION_H_
#define RINGMASTER_WORKER_KERNELS_CPU_WIDE_ATTENTION_H_

#include "worker/kernels/calls.h"

namespace ringmaster::cpu {

// Attention of short contexts: a few queries at a time go from scores through softmax to their
// output while all of it is in the first cache, and no key behind them is looked at. General
// products would first copy their operands, which takes longer than multiplying so few rows. The
// scores are written to memory once, as probabilities. Needs AVX-512. The order of every sum
// depends on the sizes alone.

// Whether this processor and this shape have it: forward and backward alike.
bool HasWideAttention(const AttentionShape& shape);
// Thread-safe: each thread keeps scratch of its own, which grows with the largest call.
void WideAttention(const AttentionCall& call);
void WideAttentionBackward(const AttentionBackwardCall& call);

}  // namespace ringmaster::cpu

#endif  // RINGMASTER_WORKER_KERNELS_CPU_WIDE_ATTENTION_H_
