#ifndef RINGMASTER_COMMON_VECMATH_VECMATH_H_
#define RINGMASTER_COMMON_VECMATH_VECMATH_H_

#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"
#include "common/vecmath/adam_factors.h"

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

// values[i] /= divisor, one rounding: sums of equal values that are divided again and again do not
// drift, as they would by products with a rounded inverse
void Divide(float divisor, absl::Span<float> values);

// values[i] += share * (target[i] - values[i]), three roundings; equal ones stay
void MoveTowards(float share, absl::Span<const float> target, absl::Span<float> values);

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

// out[i] = factor * (x[i] - y[i]), two roundings
void ScaledDifference(float factor, absl::Span<const float> x, absl::Span<const float> y,
                      absl::Span<float> out);

// One step of Adam:
//   first[i] = first_keep * first[i] + first_share * gradient[i]
//   second[i] = second_keep * second[i] + (second_share * gradient[i]) * gradient[i]
//   weights[i] -= step * (first[i] / (sqrt(second[i]) * root_factor + epsilon))
// Each operation rounds once, the root too.
void AdamStep(const AdamFactors& factors, absl::Span<const float> gradient, absl::Span<float> first,
              absl::Span<float> second, absl::Span<float> weights);

// A late gradient corrected towards `weights`, from `read`, those that it was computed from:
//   out[i] = gradient[i] + ((lambda * gradient[i]) * gradient[i]) * (weights[i] - read[i])
// Each operation rounds once.
void CompensateDelay(float lambda, absl::Span<const float> gradient, absl::Span<const float> read,
                     absl::Span<const float> weights, absl::Span<float> out);

// The numbers of an adaptive correction that are the same for all elements.
struct AdaptiveDelayFactors {
  float lambda = 0;
  float keep = 0;     // of the mean of squares
  float share = 0;    // 1 - keep
  float epsilon = 0;  // added to the mean before its root is taken
};

//   mean_square[i] = keep * mean_square[i] + (share * gradient[i]) * gradient[i]
//   out[i] = gradient[i] + (lambda / sqrt(mean_square[i] + epsilon)) *
//            ((gradient[i] * gradient[i]) * (weights[i] - read[i]))
// Each operation rounds once, the root too.
void CompensateDelayAdaptively(const AdaptiveDelayFactors& factors,
                               absl::Span<const float> gradient, absl::Span<const float> read,
                               absl::Span<const float> weights, absl::Span<float> mean_square,
                               absl::Span<float> out);

// The sum of values[i]^2 in double precision, over eight interleaved partial sums that are added
// pairwise at the end: one fixed order, so the same bits everywhere. The squares are exact.
double SumOfSquares(absl::Span<const float> values);

// The sum of (a[i] - b[i])^2, in that precision and order.
double SumOfSquaredDifferences(absl::Span<const float> a, absl::Span<const float> b);

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

// bfloat16 is the upper half of a float's bits. out[i] = bfloat16(float(out[i]) + float(in[i])),
// rounded to nearest even, commutative; a sum beyond the range is infinite, NaNs become one NaN.
void AddBfloat16(absl::Span<const uint16_t> in, absl::Span<uint16_t> out);

// a[i] = b[i] = bfloat16(float(a[i]) + float(b[i]))
void AddBfloat16ToBoth(absl::Span<uint16_t> a, absl::Span<uint16_t> b);

// values[i] = -1, 0 or 1, its sign; NaNs become 0.
void ReplaceBySigns(absl::Span<float> values);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_VECMATH_VECMATH_H_
