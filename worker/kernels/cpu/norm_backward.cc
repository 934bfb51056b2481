#include <algorithm>

#include "worker/kernels/cpu/norm_segment.h"
#include "worker/kernels/cpu/ops.h"
#include "worker/kernels/cpu/vectors.h"

namespace ringmaster::cpu {
namespace {

// The sum of gradient[i] * (input[i] - mean).
float SumOfProducts(int64_t count, const float* input, const float* gradient, float mean) {
  const __m256 means = _mm256_set1_ps(mean);
  return SumOf(
      count, [means](__m256 value, __m256 slope) { return slope * (value - means); }, input,
      gradient);
}

// All rows added up, first to last; the two sums stay in the first cache.
void LayerParamGradient(const NormParamGradientCall& call) {
  const int64_t count = call.shape.features;
  std::fill_n(call.gain_gradient, count, 0.0f);
  std::fill_n(call.bias_gradient, count, 0.0f);
  for (int64_t row = 0; row < call.shape.rows; ++row) {
    const float mean = call.mean[row], inverse = call.inverse_deviation[row];
    const float* __restrict input = call.input + row * count;
    const float* __restrict gradient = call.output_gradient + row * count;
    float* __restrict gain_gradient = call.gain_gradient;
    float* __restrict bias_gradient = call.bias_gradient;
    for (int64_t i = 0; i < count; ++i) {
      gain_gradient[i] += gradient[i] * ((input[i] - mean) * inverse);
      bias_gradient[i] += gradient[i];
    }
  }
}

void BatchParamGradient(const NormParamGradientCall& call) {
  const int64_t count = call.shape.rows * call.shape.pixels;
  for (int64_t feature = 0; feature < call.shape.features; ++feature) {
    const float* gradient = call.output_gradient + feature * count;
    const float products =
        SumOfProducts(count, call.input + feature * count, gradient, call.mean[feature]);
    call.gain_gradient[feature] = products * call.inverse_deviation[feature];
    call.bias_gradient[feature] = Sum(count, gradient);
  }
}

void GroupParamGradient(const NormParamGradientCall& call) {
  const NormShape& shape = call.shape;
  const int64_t channels_per_group = shape.features / shape.groups_per_image;
  for (int64_t feature = 0; feature < shape.features; ++feature) {
    double gain = 0, bias = 0;
    for (int64_t image = 0; image < shape.rows; ++image) {
      const int64_t at = (feature * shape.rows + image) * shape.pixels;
      const int64_t group = image * shape.groups_per_image + feature / channels_per_group;
      const float products =
          SumOfProducts(shape.pixels, call.input + at, call.output_gradient + at, call.mean[group]);
      gain += static_cast<double>(products) * call.inverse_deviation[group];
      bias += Sum(shape.pixels, call.output_gradient + at);
    }
    call.gain_gradient[feature] = static_cast<float>(gain);
    call.bias_gradient[feature] = static_cast<float>(bias);
  }
}

// A row of a layer norm, with g = output_gradient * gain:
// inverse * (g - mean(g) - (input - mean) * inverse^2 * mean(g (input - mean))).
void RowInputGradient(const NormInputGradientCall& call, int64_t row) {
  const int64_t count = call.shape.features;
  const float* input = call.input + row * count;
  const float* gradient = call.output_gradient + row * count;
  const float inverse = call.inverse_deviation[row], share = 1.0f / static_cast<float>(count);
  const __m256 means = _mm256_set1_ps(call.mean[row]), inverses = _mm256_set1_ps(inverse);
  const float sum = SumOf(
      count, [](__m256 slope, __m256 gain) { return slope * gain; }, gradient, call.gain);
  const float products = SumOf(
      count,
      [=](__m256 value, __m256 slope, __m256 gain) { return slope * gain * (value - means); },
      input, gradient, call.gain);
  const __m256 offset = _mm256_set1_ps(sum * share),
               factor = _mm256_set1_ps(products * share * inverse * inverse);
  Map(
      count, call.input_gradient + row * count,
      [=](__m256 value, __m256 slope, __m256 gain) {
        return (slope * gain - offset - (value - means) * factor) * inverses;
      },
      input, gradient, call.gain);
}

// The same for a group of a batch or group norm, whose gain is one number a segment.
void GroupInputGradient(const NormInputGradientCall& call, int64_t group) {
  const NormSegments segments(call.shape, group);
  const float mean = call.mean[group], inverse = call.inverse_deviation[group];
  double sum = 0, products = 0;
  for (int64_t i = 0; i < segments.count(); ++i) {
    const NormSegment segment = segments.At(i);
    const float* gradient = call.output_gradient + segment.begin;
    const double gain = call.gain[segment.feature];
    sum += gain * Sum(segment.count, gradient);
    products += gain * SumOfProducts(segment.count, call.input + segment.begin, gradient, mean);
  }
  const double terms = static_cast<double>(call.shape.elements_per_group());
  const __m256 means = _mm256_set1_ps(mean), inverses = _mm256_set1_ps(inverse);
  const __m256 offset = _mm256_set1_ps(static_cast<float>(sum / terms));
  const __m256 factor = _mm256_set1_ps(static_cast<float>(products / terms * inverse * inverse));
  for (int64_t i = 0; i < segments.count(); ++i) {
    const NormSegment segment = segments.At(i);
    const __m256 gain = _mm256_set1_ps(call.gain[segment.feature]);
    Map(
        segment.count, call.input_gradient + segment.begin,
        [=](__m256 value, __m256 slope) {
          return (slope * gain - offset - (value - means) * factor) * inverses;
        },
        call.input + segment.begin, call.output_gradient + segment.begin);
  }
}

}  // namespace

// gain_gradient[f] = sum of output_gradient * normalized input, bias_gradient[f] = sum of
// output_gradient.
void Compute(const NormParamGradientCall& call) {
  switch (call.shape.kind) {
    case NormKind::kLayer:
      return LayerParamGradient(call);
    case NormKind::kBatch:
      return BatchParamGradient(call);
    case NormKind::kGroup:
      return GroupParamGradient(call);
  }
}

// The gradient of the input, through mean and deviation too. Source: Ioffe and Szegedy 2015,
// section 3.
void Compute(const NormInputGradientCall& call) {
  for (int64_t group = 0; group < call.shape.groups(); ++group) {
    if (call.shape.kind == NormKind::kLayer) {
      RowInputGradient(call, group);
    } else {
      GroupInputGradient(call, group);
    }
  }
}

}  // namespace ringmaster::cpu
