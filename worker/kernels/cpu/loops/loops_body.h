#ifndef RINGMASTER_WORKER_KERNELS_CPU_LOOPS_LOOPS_BODY_H_
#define RINGMASTER_WORKER_KERNELS_CPU_LOOPS_LOOPS_BODY_H_

#include "worker/kernels/cpu/loops/attention_body.h"
#include "worker/kernels/cpu/loops/convolution_body.h"
#include "worker/kernels/cpu/loops/few_rows_body.h"
#include "worker/kernels/cpu/loops/gelu_body.h"
#include "worker/kernels/cpu/loops/loops.h"

namespace ringmaster::cpu {
namespace {

template <class V>
constexpr Loops LoopsOf(const char* name) {
  return {name,
          MultiplyFewRows<V>,
          HasDirectConvolution<V>,
          DirectConvolutionScratchFloats<V>,
          DirectConvolution<V>,
          DirectConvolutionWeights<V>,
          DirectConvolutionInputs<V>,
          HasShortAttention<V>,
          ShortAttention<V>,
          ShortAttentionBackward<V>,
          Gelu<V>,
          GeluBackward<V>};
}

}  // namespace
}  // namespace ringmaster::cpu

#endif  // RINGMASTER_WORKER_KERNELS_CPU_LOOPS_LOOPS_BODY_H_
