#include <cmath>

#include "worker/kernels/reference/ops.h"

namespace ringmaster::reference {
namespace {

constexpr double kSqrtTwoOverPi = 0.79788456080286535588;
constexpr double kCubic = 0.044715;

double TanhOfInner(double x) { return std::tanh(kSqrtTwoOverPi * (x + kCubic * x * x * x)); }

}  // namespace

// input[rows, cols] += bias[cols] unless null, in place; output = x/2 * (1 + tanh(sqrt(2/pi) * (x +
// 0.044715 x^3))).
void Compute(const GeluCall& call) {
  for (int64_t i = 0; i < call.rows * call.cols; ++i) {
    if (call.bias != nullptr) call.input[i] += call.bias[i % call.cols];
    const double x = call.input[i];
    call.output[i] = static_cast<float>(0.5 * x * (1 + TanhOfInner(x)));
  }
}

// gradient[i] *= gelu'(input[i]); in place.
void Compute(const GeluBackwardCall& call) {
  for (int64_t i = 0; i < call.count; ++i) {
    const double x = call.input[i];
    const double tanh = TanhOfInner(x);
    const double inner_slope = kSqrtTwoOverPi * (1 + 3 * kCubic * x * x);
    const double slope = 0.5 * (1 + tanh) + 0.5 * x * (1 - tanh * tanh) * inner_slope;
    call.gradient[i] = static_cast<float>(call.gradient[i] * slope);
  }
}

}  // namespace ringmaster::reference
