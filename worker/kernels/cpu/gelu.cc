#include "worker/kernels/cpu/direct_convolution.h"
#include "worker/kernels/cpu/gelu_loops.h"
#include "worker/kernels/cpu/ops.h"
#include "worker/kernels/cpu/vectors.h"

namespace ringmaster::cpu {
namespace {

inline __m256 Set(float value) { return _mm256_set1_ps(value); }

// What both directions need of one vector.
struct Gate {
  __m256 x_squared;    // of x held within the range that matters
  __m256 decay;        // e^-2|u|
  __m256 denominator;  // 1 + decay
  __m256 open;         // (1 + tanh u) / 2
};

inline Gate GateOf(__m256 x) {
  // With x for the second operand NaN stays.
  const __m256 held = _mm256_min_ps(Set(kSaturated), _mm256_max_ps(Set(-kSaturated), x));
  Gate gate;
  gate.x_squared = held * held;
  const __m256 two_u =
      Set(kTwoSlope) * held * _mm256_fmadd_ps(gate.x_squared, Set(kCubic), Set(1.0f));
  gate.decay = Exp(_mm256_or_ps(two_u, Set(-0.0f)));  // the sign bit set: -|2u|
  gate.denominator = Set(1.0f) + gate.decay;
  // 1 where u >= 0, else decay: the sign bit of u selects.
  gate.open = _mm256_blendv_ps(Set(1.0f), gate.decay, two_u) / gate.denominator;
  return gate;
}

inline __m256 GeluOf(__m256 x) { return x * GateOf(x).open; }

// gelu'(x) = open + x * open' with open' = decay / (1 + decay)^2 * 2u'.
inline __m256 SlopeOf(__m256 x) {
  const Gate gate = GateOf(x);
  const __m256 two_u_slope =
      Set(kTwoSlope) * _mm256_fmadd_ps(gate.x_squared, Set(3 * kCubic), Set(1.0f));
  const __m256 open_slope = gate.decay / (gate.denominator * gate.denominator) * two_u_slope;
  return _mm256_fmadd_ps(x, open_slope, gate.open);
}

}  // namespace

void NarrowGelu(const GeluCall& call) {
  if (call.bias == nullptr) {
    Map(call.rows * call.cols, call.output, GeluOf, call.input);
    return;
  }
  for (int64_t row = 0; row < call.rows; ++row) {
    float* input = call.input + row * call.cols;
    Map(
        call.cols, input, [](__m256 x, __m256 bias) { return x + bias; }, input, call.bias);
    Map(call.cols, call.output + row * call.cols, GeluOf, input);
  }
}

void NarrowGeluBackward(const GeluBackwardCall& call) {
  Map(
      call.count, call.gradient, [](__m256 x, __m256 gradient) { return gradient * SlopeOf(x); },
      call.input, call.gradient);
}

// input[rows, cols] += bias[cols] unless null, in place; output = x/2 * (1 + tanh(sqrt(2/pi) * (x +
// 0.044715 x^3))).
void Compute(const GeluCall& call) {
  if (HasWideConvolutions()) {
    WideGelu(call);
  } else {
    NarrowGelu(call);
  }
}

// gradient[i] *= gelu'(input[i]); in place.
void Compute(const GeluBackwardCall& call) {
  if (HasWideConvolutions()) {
    WideGeluBackward(call);
  } else {
    NarrowGeluBackward(call);
  }
}

}  // namespace ringmaster::cpu
