#include <immintrin.h>

#include "worker/kernels/cpu/gelu_loops.h"
#include "worker/kernels/cpu/wide_exp.h"
#include "worker/kernels/cpu/wide_vectors.h"

#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"

namespace ringmaster::cpu {
namespace {

inline __m512 Set(float value) { return _mm512_set1_ps(value); }

// What both directions need of one vector; see gelu.cc.
struct Gate {
  __m512 x_squared;
  __m512 decay;
  __m512 denominator;
  __m512 open;
};

inline Gate GateOf(__m512 x) {
  // With x for the second operand NaN stays.
  const __m512 held = _mm512_min_ps(Set(kSaturated), _mm512_max_ps(Set(-kSaturated), x));
  Gate gate;
  gate.x_squared = held * held;
  const __m512 two_u =
      Set(kTwoSlope) * held * _mm512_fmadd_ps(gate.x_squared, Set(kCubic), Set(1.0f));
  gate.decay = Exp(_mm512_or_ps(two_u, Set(-0.0f)));
  gate.denominator = Set(1.0f) + gate.decay;
  const __mmask16 negative = _mm512_movepi32_mask(_mm512_castps_si512(two_u));
  gate.open = _mm512_mask_mov_ps(Set(1.0f), negative, gate.decay) / gate.denominator;
  return gate;
}

inline __m512 SlopeOf(__m512 x) {
  const Gate gate = GateOf(x);
  const __m512 two_u_slope =
      Set(kTwoSlope) * _mm512_fmadd_ps(gate.x_squared, Set(3 * kCubic), Set(1.0f));
  const __m512 open_slope = gate.decay / (gate.denominator * gate.denominator) * two_u_slope;
  return _mm512_fmadd_ps(x, open_slope, gate.open);
}

// The lanes under `mask` of input += bias (unless null) and of output = gelu(input).
inline void GeluVector(__mmask16 mask, float* input, const float* bias, float* output) {
  __m512 x = _mm512_maskz_loadu_ps(mask, input);
  if (bias != nullptr) {
    x = x + _mm512_maskz_loadu_ps(mask, bias);
    _mm512_mask_storeu_ps(input, mask, x);
  }
  _mm512_mask_storeu_ps(output, mask, x * GateOf(x).open);
}

inline void GeluRow(int64_t count, float* input, const float* bias, float* output) {
  for (int64_t i = 0; i < count; i += kLanes) {
    GeluVector(FirstLanes(count - i), input + i, bias == nullptr ? nullptr : bias + i, output + i);
  }
}

}  // namespace

void WideGelu(const GeluCall& call) {
  if (call.bias == nullptr) {
    GeluRow(call.rows * call.cols, call.input, nullptr, call.output);
    return;
  }
  for (int64_t row = 0; row < call.rows; ++row) {
    GeluRow(call.cols, call.input + row * call.cols, call.bias, call.output + row * call.cols);
  }
}

void WideGeluBackward(const GeluBackwardCall& call) {
  for (int64_t i = 0; i < call.count; i += kLanes) {
    const __mmask16 mask = FirstLanes(call.count - i);
    const __m512 slope = SlopeOf(_mm512_maskz_loadu_ps(mask, call.input + i));
    _mm512_mask_storeu_ps(call.gradient + i, mask,
                          _mm512_maskz_loadu_ps(mask, call.gradient + i) * slope);
  }
}

}  // namespace ringmaster::cpu

#pragma GCC diagnostic pop
#pragma GCC pop_options
