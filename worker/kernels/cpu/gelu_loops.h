#ifndef RINGMASTER_WORKER_KERNELS_CPU_GELU_LOOPS_H_
#define RINGMASTER_WORKER_KERNELS_CPU_GELU_LOOPS_H_

#include "worker/kernels/calls.h"

namespace ringmaster::cpu {

// Gelu and GeluBackward by vectors of eight (AVX2) and of sixteen (AVX-512, only where
// HasWideConvolutions). The same operations in the same order, and so the same bits. Thread-safe.
void NarrowGelu(const GeluCall& call);
void NarrowGeluBackward(const GeluBackwardCall& call);
void WideGelu(const GeluCall& call);
void WideGeluBackward(const GeluBackwardCall& call);

// With u = sqrt(2/pi) (x + 0.044715 x^3), (1 + tanh u) / 2 = 1 / (1 + e^-2u): one exponential, and
// no cancellation for negative x as 1 + tanh would have.
inline constexpr float kTwoSlope = 2 * 0.79788456080286536f;
inline constexpr float kCubic = 0.044715f;
// From here on e^-2|u| is 0; larger numbers would only overflow in x^3.
inline constexpr float kSaturated = 11.0f;

}  // namespace ringmaster::cpu

#endif  // RINGMASTER_WORKER_KERNELS_CPU_GELU_LOOPS_H_
