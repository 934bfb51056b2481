#include "common/vecmath/vecmath.h"

#include <immintrin.h>

#include <cmath>
#include <cstring>

#include "common/base/check.h"

namespace ringmaster {
namespace {

// One half through the same conversion instruction as the eight-wide bodies use, so that tails
// round alike.
float HalfToFloat(uint16_t half) { return _cvtsh_ss(half); }
uint16_t FloatToHalf(float value) { return _cvtss_sh(value, _MM_FROUND_TO_NEAREST_INT); }

__m256 LoadHalves(const uint16_t* from) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}
void StoreHalves(__m256 values, uint16_t* to) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to),
                   _mm256_cvtps_ph(values, _MM_FROUND_TO_NEAREST_INT));
}

bool IsFinite(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return (bits & 0x7F800000u) != 0x7F800000u;
}

float FromBfloat(uint16_t value) {
  const uint32_t bits = static_cast<uint32_t>(value) << 16;
  float out;
  std::memcpy(&out, &bits, sizeof(out));
  return out;
}

// Rounding up may carry into the exponent, and out of the largest one into infinity, as it should.
uint16_t SumOfBfloats(uint16_t a, uint16_t b) {
  const float sum = FromBfloat(a) + FromBfloat(b);
  uint32_t bits;
  std::memcpy(&bits, &sum, sizeof(bits));
  const uint32_t rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16;
  return static_cast<uint16_t>((bits & 0x7FFFFFFF) > 0x7F800000 ? 0x7FC0 : rounded);
}

}  // namespace

void Add(absl::Span<const float> in, absl::Span<float> out) {
  RM_CHECK(in.size() == out.size());
  const float* __restrict from = in.data();
  float* __restrict to = out.data();
  for (size_t i = 0; i < in.size(); ++i) to[i] += from[i];
}

void AddToBoth(absl::Span<float> a, absl::Span<float> b) {
  RM_CHECK(a.size() == b.size());
  float* __restrict one = a.data();
  float* __restrict other = b.data();
  for (size_t i = 0; i < a.size(); ++i) one[i] = other[i] = one[i] + other[i];
}

void Scale(float factor, absl::Span<float> values) {
  for (float& value : values) value *= factor;
}

void Divide(float divisor, absl::Span<float> values) {
  for (float& value : values) value /= divisor;
}

void MoveTowards(float share, absl::Span<const float> target, absl::Span<float> values) {
  RM_CHECK(target.size() == values.size());
  const float* __restrict from = target.data();
  float* __restrict to = values.data();
  for (size_t i = 0; i < values.size(); ++i) to[i] += share * (from[i] - to[i]);
}

void SubtractScaled(float rate, absl::Span<const float> gradient, absl::Span<float> weights) {
  RM_CHECK(gradient.size() == weights.size());
  const float* __restrict from = gradient.data();
  float* __restrict to = weights.data();
  for (size_t i = 0; i < gradient.size(); ++i) to[i] -= rate * from[i];
}

void ScaleThenAdd(float factor, absl::Span<const float> in, absl::Span<float> out) {
  RM_CHECK(in.size() == out.size());
  const float* __restrict from = in.data();
  float* __restrict to = out.data();
  for (size_t i = 0; i < in.size(); ++i) to[i] = factor * to[i] + from[i];
}

void ScaleInto(float factor, absl::Span<const float> in, absl::Span<float> out) {
  RM_CHECK(in.size() == out.size());
  const float* __restrict from = in.data();
  float* __restrict to = out.data();
  for (size_t i = 0; i < in.size(); ++i) to[i] = factor * from[i];
}

void WeightedSum(float a, absl::Span<const float> x, float b, absl::Span<const float> y,
                 absl::Span<float> out) {
  RM_CHECK(x.size() == out.size() && y.size() == out.size());
  const float* __restrict first = x.data();
  const float* __restrict second = y.data();
  float* __restrict to = out.data();
  for (size_t i = 0; i < out.size(); ++i) to[i] = a * first[i] + b * second[i];
}

void Blend(float keep, float share, absl::Span<const float> in, absl::Span<float> out) {
  RM_CHECK(in.size() == out.size());
  const float* __restrict from = in.data();
  float* __restrict to = out.data();
  for (size_t i = 0; i < in.size(); ++i) to[i] = keep * to[i] + share * from[i];
}

void AdamStep(const AdamFactors& f, absl::Span<const float> gradient, absl::Span<float> first,
              absl::Span<float> second, absl::Span<float> weights) {
  const size_t count = weights.size();
  RM_CHECK(gradient.size() == count && first.size() == count && second.size() == count);
  const __m256 epsilon = _mm256_set1_ps(f.epsilon);
  size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const __m256 g = _mm256_loadu_ps(gradient.data() + i);
    const __m256 m = _mm256_set1_ps(f.first_keep) * _mm256_loadu_ps(first.data() + i) +
                     _mm256_set1_ps(f.first_share) * g;
    const __m256 v = _mm256_set1_ps(f.second_keep) * _mm256_loadu_ps(second.data() + i) +
                     (_mm256_set1_ps(f.second_share) * g) * g;
    const __m256 divisor = _mm256_sqrt_ps(v) * _mm256_set1_ps(f.root_factor) + epsilon;
    const __m256 w = _mm256_loadu_ps(weights.data() + i) - _mm256_set1_ps(f.step) * (m / divisor);
    _mm256_storeu_ps(first.data() + i, m);
    _mm256_storeu_ps(second.data() + i, v);
    _mm256_storeu_ps(weights.data() + i, w);
  }
  for (; i < count; ++i) {
    first[i] = f.first_keep * first[i] + f.first_share * gradient[i];
    second[i] = f.second_keep * second[i] + (f.second_share * gradient[i]) * gradient[i];
    weights[i] -= f.step * (first[i] / (std::sqrt(second[i]) * f.root_factor + f.epsilon));
  }
}

void ScaledDifference(float factor, absl::Span<const float> x, absl::Span<const float> y,
                      absl::Span<float> out) {
  RM_CHECK(x.size() == out.size() && y.size() == out.size());
  const float* __restrict from = x.data();
  const float* __restrict less = y.data();
  float* __restrict to = out.data();
  for (size_t i = 0; i < out.size(); ++i) to[i] = factor * (from[i] - less[i]);
}

void CompensateDelay(float lambda, absl::Span<const float> gradient, absl::Span<const float> read,
                     absl::Span<const float> weights, absl::Span<float> out) {
  RM_CHECK(gradient.size() == out.size() && read.size() == out.size() &&
           weights.size() == out.size());
  const float* __restrict g = gradient.data();
  const float* __restrict was = read.data();
  const float* __restrict is = weights.data();
  float* __restrict to = out.data();
  for (size_t i = 0; i < out.size(); ++i)
    to[i] = g[i] + ((lambda * g[i]) * g[i]) * (is[i] - was[i]);
}

void CompensateDelayAdaptively(const AdaptiveDelayFactors& factors,
                               absl::Span<const float> gradient, absl::Span<const float> read,
                               absl::Span<const float> weights, absl::Span<float> mean_square,
                               absl::Span<float> out) {
  RM_CHECK(gradient.size() == out.size() && read.size() == out.size() &&
           weights.size() == out.size() && mean_square.size() == out.size());
  const float* __restrict g = gradient.data();
  const float* __restrict was = read.data();
  const float* __restrict is = weights.data();
  float* __restrict mean = mean_square.data();
  float* __restrict to = out.data();
  for (size_t i = 0; i < out.size(); ++i) {
    mean[i] = factors.keep * mean[i] + (factors.share * g[i]) * g[i];
    const float lambda = factors.lambda / std::sqrt(mean[i] + factors.epsilon);
    to[i] = g[i] + lambda * ((g[i] * g[i]) * (is[i] - was[i]));
  }
}

double SumOfSquares(absl::Span<const float> values) {
  double sums[8] = {};
  size_t i = 0;
  for (; i + 8 <= values.size(); i += 8) {
    for (size_t lane = 0; lane < 8; ++lane)
      sums[lane] += static_cast<double>(values[i + lane]) * values[i + lane];
  }
  for (size_t lane = 0; i < values.size(); ++i, ++lane)
    sums[lane] += static_cast<double>(values[i]) * values[i];
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

double SumOfSquaredDifferences(absl::Span<const float> a, absl::Span<const float> b) {
  RM_CHECK(a.size() == b.size());
  double sums[8] = {};
  const auto squared = [&](size_t i) {
    const double difference = static_cast<double>(a[i]) - b[i];
    return difference * difference;
  };
  size_t i = 0;
  for (; i + 8 <= a.size(); i += 8) {
    for (size_t lane = 0; lane < 8; ++lane) sums[lane] += squared(i + lane);
  }
  for (size_t lane = 0; i < a.size(); ++i, ++lane) sums[lane] += squared(i);
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

size_t FirstNotFinite(absl::Span<const float> values) {
  // Whole blocks without a branch an element; the search for the culprit starts only where there is
  // one.
  constexpr size_t kBlock = 256;
  size_t i = 0;
  for (; i + kBlock <= values.size(); i += kBlock) {
    unsigned culprits = 0;
    for (size_t j = 0; j < kBlock; ++j) culprits |= IsFinite(values[i + j]) ? 0u : 1u;
    if (culprits != 0) break;
  }
  while (i < values.size() && IsFinite(values[i])) ++i;
  return i;
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

void AddFloat16(absl::Span<const uint16_t> in, absl::Span<uint16_t> out) {
  RM_CHECK(in.size() == out.size());
  size_t i = 0;
  for (; i + 8 <= in.size(); i += 8) {
    StoreHalves(_mm256_add_ps(LoadHalves(out.data() + i), LoadHalves(in.data() + i)),
                out.data() + i);
  }
  for (; i < in.size(); ++i) out[i] = FloatToHalf(HalfToFloat(out[i]) + HalfToFloat(in[i]));
}

void AddFloat16ToBoth(absl::Span<uint16_t> a, absl::Span<uint16_t> b) {
  RM_CHECK(a.size() == b.size());
  size_t i = 0;
  for (; i + 8 <= a.size(); i += 8) {
    const __m256 sum = _mm256_add_ps(LoadHalves(a.data() + i), LoadHalves(b.data() + i));
    StoreHalves(sum, a.data() + i);
    StoreHalves(sum, b.data() + i);
  }
  for (; i < a.size(); ++i) a[i] = b[i] = FloatToHalf(HalfToFloat(a[i]) + HalfToFloat(b[i]));
}

void AddBfloat16(absl::Span<const uint16_t> in, absl::Span<uint16_t> out) {
  RM_CHECK(in.size() == out.size());
  for (size_t i = 0; i < in.size(); ++i) out[i] = SumOfBfloats(out[i], in[i]);
}

void AddBfloat16ToBoth(absl::Span<uint16_t> a, absl::Span<uint16_t> b) {
  RM_CHECK(a.size() == b.size());
  for (size_t i = 0; i < a.size(); ++i) a[i] = b[i] = SumOfBfloats(a[i], b[i]);
}

void ReplaceBySigns(absl::Span<float> values) {
  for (float& value : values) value = (value > 0 ? 1.0f : 0.0f) - (value < 0 ? 1.0f : 0.0f);
}

}  // namespace ringmaster
