#ifndef RINGMASTER_COMMON_VECMATH_VECMATH_H_
#define RINGMASTER_COMMON_VECMATH_VECMATH_H_

#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"

namespace ringmaster {

// With the codecs' the only float loops outside the kernels. Spans of one call have one size and do
// not overlap. Pure, thread-safe. No fused multiply-adds: every operation rounds once, on every
// machine.

// out[i] += in[i]
void Add(absl::Span<const float> in, absl::Span<float> out);

// a[i] = b[i] = a[i] + b[i]
void AddToBoth(absl::Span<float> a, absl::Span<float> b);

// values[i] *= factor
void Scale(float factor, absl::Span<float> values);

// weights[i] -= rate * gradient[i], two roundings
void SubtractScaled(float rate, absl::Span<const float> gradient, absl::Span<float> weights);

// out[i] = factor * out[i] + in[i], two roundings
void ScaleThenAdd(float factor, absl::Span<const float> in, absl::Span<float> out);

// out[i] = factor * in[i]
void ScaleInto(float factor, absl::Span<const float> in, absl::Span<float> out);

// out[i] = a * x[i] + b * y[i], three roundings
void WeightedSum(float a, absl::Span<const float> x, float b, absl::Span<const float> y,
                 absl::Span<float> out);

// out[i] = keep * out[i] + share * in[i], three roundings
void Blend(float keep, float share, absl::Span<const float> in, absl::Span<float> out);

// The numbers of one step of Adam that are the same for all elements.
struct AdamFactors {
  float first_keep = 0;    // beta1
  float first_share = 0;   // 1 - beta1
  float second_keep = 0;   // beta2
  float second_share = 0;  // 1 - beta2
  float root_factor = 0;   // 1 / sqrt(1 - beta2^t)
  float epsilon = 0;
  float step = 0;  // rate / (1 - beta1^t)
};

//   first[i] = first_keep * first[i] + first_share * gradient[i]
//   second[i] = second_keep * second[i] + (second_share * gradient[i]) * gradient[i]
//   weights[i] -= step * (first[i] / (sqrt(second[i]) * root_factor + epsilon))
// Each operation rounds once, the root too.
void AdamStep(const AdamFactors& factors, absl::Span<const float> gradient, absl::Span<float> first,
              absl::Span<float> second, absl::Span<float> weights);

// The sum of values[i]^2 in double precision, over eight interleaved partial sums that are added
// pairwise at the end: one fixed order, so the same bits everywhere. The squares are exact.
double SumOfSquares(absl::Span<const float> values);

// The index of the first infinity or NaN, or values.size() when there is none.
size_t FirstNotFinite(absl::Span<const float> values);

// IEEE binary16, round to nearest even; beyond its range infinity, as the hardware converts.
void ToFloat16(absl::Span<const float> in, absl::Span<uint16_t> out);

// Exact.
void FromFloat16(absl::Span<const uint16_t> in, absl::Span<float> out);

// out[i] = half(float(out[i]) + float(in[i])): a sum of halves that stays a half, commutative.
void AddFloat16(absl::Span<const uint16_t> in, absl::Span<uint16_t> out);

// a[i] = b[i] = half(float(a[i]) + float(b[i]))
void AddFloat16ToBoth(absl::Span<uint16_t> a, absl::Span<uint16_t> b);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_VECMATH_VECMATH_H_
