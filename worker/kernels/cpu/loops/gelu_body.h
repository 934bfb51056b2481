#ifndef RINGMASTER_WORKER_KERNELS_CPU_LOOPS_GELU_BODY_H_
#define RINGMASTER_WORKER_KERNELS_CPU_LOOPS_GELU_BODY_H_

#include "worker/kernels/calls.h"

namespace ringmaster::cpu {
namespace {

// With u = sqrt(2/pi) (x + 0.044715 x^3), (1 + tanh u) / 2 = 1 / (1 + e^-2u): one exponential, and
// no cancellation for negative x as 1 + tanh would have.
constexpr float kTwoSlope = 2 * 0.79788456080286536f;
constexpr float kCubic = 0.044715f;
// From here on e^-2|u| is 0; larger numbers would only overflow in x^3.
constexpr float kSaturated = 11.0f;

// What both directions need of one vector.
template <class V>
struct Gate {
  using Floats = typename V::Floats;
  Floats x_squared;  // of x held within the range that matters
  Floats decay;      // e^-2|u|
  Floats inverse;    // 1 / (1 + decay)
  Floats open;       // (1 + tanh u) / 2
};

template <class V>
Gate<V> GateOf(typename V::Floats x) {
  // With x for the second operand NaN stays.
  const auto held = V::Smaller(V::Set(kSaturated), V::Larger(V::Set(-kSaturated), x));
  Gate<V> gate;
  gate.x_squared = held * held;
  const auto two_u =
      V::Set(kTwoSlope) * held * V::MultiplyAdd(gate.x_squared, V::Set(kCubic), V::Set(1.0f));
  gate.decay = V::ExpOf(V::WithSign(two_u));
  gate.inverse = V::Set(1.0f) / (V::Set(1.0f) + gate.decay);
  // inverse where u >= 0, else decay times as much.
  gate.open = V::WhereNegative(two_u, gate.decay, V::Set(1.0f)) * gate.inverse;
  return gate;
}

// gelu'(x) = open + x * open' with open' = decay / (1 + decay)^2 * 2u'.
template <class V>
typename V::Floats SlopeOf(typename V::Floats x) {
  const Gate<V> gate = GateOf<V>(x);
  const auto two_u_slope =
      V::Set(kTwoSlope) * V::MultiplyAdd(gate.x_squared, V::Set(3 * kCubic), V::Set(1.0f));
  const auto open_slope = gate.decay * gate.inverse * gate.inverse * two_u_slope;
  return V::MultiplyAdd(x, open_slope, gate.open);
}

template <class V>
void GeluRow(int64_t count, float* input, const float* bias, float* output) {
  int64_t i = 0;
  for (; i + V::kLanes <= count; i += V::kLanes) {
    auto x = V::Load(input + i);
    if (bias != nullptr) {
      x = x + V::Load(bias + i);
      V::Store(input + i, x);
    }
    V::Store(output + i, x * GateOf<V>(x).open);
  }
  if (i == count) return;
  const auto mask = V::First(count - i);
  auto x = V::LoadMasked(input + i, mask);
  if (bias != nullptr) {
    x = x + V::LoadMasked(bias + i, mask);
    V::StoreMasked(input + i, mask, x);
  }
  V::StoreMasked(output + i, mask, x * GateOf<V>(x).open);
}

// input[rows, cols] += bias[cols] unless null, in place; output = x/2 * (1 + tanh(sqrt(2/pi) * (x +
// 0.044715 x^3))).
template <class V>
void Gelu(const GeluCall& call) {
  if (call.bias == nullptr) {
    GeluRow<V>(call.rows * call.cols, call.input, nullptr, call.output);
    return;
  }
  for (int64_t row = 0; row < call.rows; ++row) {
    GeluRow<V>(call.cols, call.input + row * call.cols, call.bias, call.output + row * call.cols);
  }
}

// gradient[i] *= gelu'(input[i]); in place.
template <class V>
void GeluBackward(const GeluBackwardCall& call) {
  int64_t i = 0;
  for (; i + V::kLanes <= call.count; i += V::kLanes) {
    V::Store(call.gradient + i, V::Load(call.gradient + i) * SlopeOf<V>(V::Load(call.input + i)));
  }
  if (i == call.count) return;
  const auto mask = V::First(call.count - i);
  V::StoreMasked(
      call.gradient + i, mask,
      V::LoadMasked(call.gradient + i, mask) * SlopeOf<V>(V::LoadMasked(call.input + i, mask)));
}

}  // namespace
}  // namespace ringmaster::cpu

#endif  // RINGMASTER_WORKER_KERNELS_CPU_LOOPS_GELU_BODY_H_
