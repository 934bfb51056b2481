#ifndef RINGMASTER_COMMON_VECMATH_VECMATH_H_
#define RINGMASTER_COMMON_VECMATH_VECMATH_H_

#include <cstdint>

#include "absl/types/span.h"

namespace ringmaster {

// The only float loops outside the kernels. Spans of one call have one size unless said otherwise, and do not overlap
// unless they are the same. Pure, thread-safe. No fused multiply-adds: every operation rounds once, on every machine.

// out[i] += in[i]
void Add(absl::Span<const float> in, absl::Span<float> out);

// values[i] *= factor
void Scale(float factor, absl::Span<float> values);

// weights[i] -= rate * gradient[i], two roundings
void SubtractScaled(float rate, absl::Span<const float> gradient, absl::Span<float> weights);

// IEEE binary16, round to nearest even; beyond its range infinity, as the hardware converts.
void ToFloat16(absl::Span<const float> in, absl::Span<uint16_t> out);
void FromFloat16(absl::Span<const uint16_t> in, absl::Span<float> out);

// out[i] += float(in[i])
void AddFromFloat16(absl::Span<const uint16_t> in, absl::Span<float> out);

// out[i] = half(float(out[i]) + float(in[i])): a sum of halves that stays a half, commutative.
void AddFloat16(absl::Span<const uint16_t> in, absl::Span<uint16_t> out);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_VECMATH_VECMATH_H_
