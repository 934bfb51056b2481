#include "common/vecmath/vecmath.h"

#include <immintrin.h>

#include "common/base/check.h"

namespace ringmaster {
namespace {

// One half through the same conversion instruction as the eight-wide bodies use, so that tails round alike.
float HalfToFloat(uint16_t half) { return _cvtsh_ss(half); }
uint16_t FloatToHalf(float value) { return _cvtss_sh(value, _MM_FROUND_TO_NEAREST_INT); }

__m256 LoadHalves(const uint16_t* from) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}
void StoreHalves(__m256 values, uint16_t* to) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm256_cvtps_ph(values, _MM_FROUND_TO_NEAREST_INT));
}

}  // namespace

void Add(absl::Span<const float> in, absl::Span<float> out) {
  RM_CHECK(in.size() == out.size());
  const float* __restrict from = in.data();
  float* __restrict to = out.data();
  for (size_t i = 0; i < in.size(); ++i) to[i] += from[i];
}

void Scale(float factor, absl::Span<float> values) {
  for (float& value : values) value *= factor;
}

void SubtractScaled(float rate, absl::Span<const float> gradient, absl::Span<float> weights) {
  RM_CHECK(gradient.size() == weights.size());
  const float* __restrict from = gradient.data();
  float* __restrict to = weights.data();
  for (size_t i = 0; i < gradient.size(); ++i) to[i] -= rate * from[i];
}

void ToFloat16(absl::Span<const float> in, absl::Span<uint16_t> out) {
  RM_CHECK(in.size() == out.size());
  size_t i = 0;
  for (; i + 8 <= in.size(); i += 8) StoreHalves(_mm256_loadu_ps(in.data() + i), out.data() + i);
  for (; i < in.size(); ++i) out[i] = FloatToHalf(in[i]);
}

void FromFloat16(absl::Span<const uint16_t> in, absl::Span<float> out) {
  RM_CHECK(in.size() == out.size());
  size_t i = 0;
  for (; i + 8 <= in.size(); i += 8) _mm256_storeu_ps(out.data() + i, LoadHalves(in.data() + i));
  for (; i < in.size(); ++i) out[i] = HalfToFloat(in[i]);
}

void AddFromFloat16(absl::Span<const uint16_t> in, absl::Span<float> out) {
  RM_CHECK(in.size() == out.size());
  size_t i = 0;
  for (; i + 8 <= in.size(); i += 8) {
    _mm256_storeu_ps(out.data() + i, _mm256_add_ps(_mm256_loadu_ps(out.data() + i), LoadHalves(in.data() + i)));
  }
  for (; i < in.size(); ++i) out[i] += HalfToFloat(in[i]);
}

void AddFloat16(absl::Span<const uint16_t> in, absl::Span<uint16_t> out) {
  RM_CHECK(in.size() == out.size());
  size_t i = 0;
  for (; i + 8 <= in.size(); i += 8) {
    StoreHalves(_mm256_add_ps(LoadHalves(out.data() + i), LoadHalves(in.data() + i)), out.data() + i);
  }
  for (; i < in.size(); ++i) out[i] = FloatToHalf(HalfToFloat(out[i]) + HalfToFloat(in[i]));
}

}  // namespace ringmaster
