#ifndef RINGMASTER_WORKER_KERNELS_CPU_LOOPS_LOOPS_H_
#define RINGMASTER_WORKER_KERNELS_CPU_LOOPS_LOOPS_H_

#include <cstdint>

#include "worker/kernels/calls.h"

namespace ringmaster::cpu {

// The loops that take most of a step, for one width of vectors: one text (the _body.h files),
// compiled once for AVX2 and once for AVX-512. The order of every sum depends on the sizes and on
// the width alone. Thread-safe: each thread keeps scratch of its own, which grows with the largest
// call.
struct Loops {
  const char* name;  // "avx2"

  // Products of at most 64 rows with alpha = 1 and beta = 0, as a linear layer has them: forward,
  // weight gradient and input gradient. A general product first copies the large operand into an
  // order of its own, which takes about as long as multiplying it by so few rows. Computes the call
  // and returns true if it is such a product; else changes nothing.
  bool (*multiply_few_rows)(const GemmCall& call);

  // Convolutions straight from the images, without columns in memory: an image at a time is copied
  // with its padding, its pixels are broadcast and multiplied by vectors of output channels, which
  // stay in registers until all taps are added up. All directions of a convolution have it or none:
  // it needs stride 1 and channels that fill vectors. With lenet's 20 and 50 a product of columns
  // is faster, 1.15 times over a whole step. Scratch is the same whatever the batch.
  bool (*has_direct_convolution)(const ConvShape& shape, int64_t out_channels);
  int64_t (*direct_convolution_scratch_floats)(const ConvShape& shape, int64_t out_channels);
  void (*convolution)(const ConvolutionCall& call);
  void (*convolution_weights)(const ConvolutionWeightGradientCall& call);
  void (*convolution_inputs)(const ConvolutionInputGradientCall& call);

  // Attention of short contexts: a few queries at a time go from scores through softmax to their
  // output while all of it is in the first cache, and no key behind them is looked at. The scores
  // are written to memory once, as probabilities. Both directions have it or none.
  bool (*has_short_attention)(const AttentionShape& shape);
  void (*attention)(const AttentionCall& call);
  void (*attention_backward)(const AttentionBackwardCall& call);

  // The same bits at any width.
  void (*gelu)(const GeluCall& call);
  void (*gelu_backward)(const GeluBackwardCall& call);
};

const Loops& Avx2Loops();
// Null where the processor lacks AVX-512 (F, BW, DQ, VL).
const Loops* Avx512Loops();

// `floats` of them for the calling thread, aligned to 64 bytes, until its next call.
float* LoopScratch(int64_t floats);

}  // namespace ringmaster::cpu

#endif  // RINGMASTER_WORKER_KERNELS_CPU_LOOPS_LOOPS_H_
