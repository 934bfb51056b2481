#include <cmath>

#include "worker/kernels/cpu/norm_segment.h"
#include "worker/kernels/cpu/ops.h"
#include "worker/kernels/cpu/vectors.h"

namespace ringmaster::cpu {
namespace {

// The sum of (values[i] - mean)^2: of differences, since the difference of large sums would lose
// all digits.
float SumOfSquares(int64_t count, const float* values, float mean) {
  const __m256 means = _mm256_set1_ps(mean);
  return SumOf(
      count,
      [means](__m256 value) {
        const __m256 difference = value - means;
        return difference * difference;
      },
      values);
}

// Keeps the statistics of one group and returns its inverse deviation.
float KeepStatistics(const NormCall& call, int64_t group, double mean, double squares) {
  const double terms = static_cast<double>(call.shape.elements_per_group());
  const float inverse = static_cast<float>(1.0 / std::sqrt(squares / terms + call.epsilon));
  call.mean[group] = static_cast<float>(mean);
  call.inverse_deviation[group] = inverse;
  if (call.variance != nullptr) call.variance[group] = static_cast<float>(squares / (terms - 1));
  return inverse;
}

// A row of a layer norm; its three passes find it in the first cache.
void NormRow(const NormCall& call, int64_t row) {
  const int64_t count = call.shape.features;
  const float* input = call.input + row * count;
  const float mean = Sum(count, input) / static_cast<float>(count);
  const float inverse = KeepStatistics(call, row, mean, SumOfSquares(count, input, mean));
  const __m256 means = _mm256_set1_ps(mean), inverses = _mm256_set1_ps(inverse);
  Map(
      count, call.output + row * count,
      [=](__m256 value, __m256 gain, __m256 bias) {
        return _mm256_fmadd_ps((value - means) * inverses, gain, bias);
      },
      input, call.gain, call.bias);
}

// output[i] = (input[i] - mean) * scale + bias
void Affine(int64_t count, const float* input, float mean, float scale, float bias, float* output) {
  const __m256 means = _mm256_set1_ps(mean), scales = _mm256_set1_ps(scale),
               biases = _mm256_set1_ps(bias);
  Map(
      count, output, [=](__m256 value) { return _mm256_fmadd_ps(value - means, scales, biases); },
      input);
}

// A group of a batch or group norm.
void NormGroup(const NormCall& call, int64_t group) {
  const NormSegments segments(call.shape, group);
  double sum = 0, squares = 0;
  for (int64_t i = 0; i < segments.count(); ++i) {
    const NormSegment segment = segments.At(i);
    sum += Sum(segment.count, call.input + segment.begin);
  }
  const float mean = static_cast<float>(sum / static_cast<double>(call.shape.elements_per_group()));
  for (int64_t i = 0; i < segments.count(); ++i) {
    const NormSegment segment = segments.At(i);
    squares += SumOfSquares(segment.count, call.input + segment.begin, mean);
  }
  const float inverse = KeepStatistics(call, group, mean, squares);
  for (int64_t i = 0; i < segments.count(); ++i) {
    const NormSegment segment = segments.At(i);
    Affine(segment.count, call.input + segment.begin, mean, inverse * call.gain[segment.feature],
           call.bias[segment.feature], call.output + segment.begin);
  }
}

}  // namespace

// output = (input - mean) / sqrt(variance + epsilon) * gain + bias by group; mean and inverse
// deviation are kept, and the corrected variance where it is asked for. Source: Ba et al. 2016,
// Ioffe and Szegedy 2015, Wu and He 2018.
void Compute(const NormCall& call) {
  for (int64_t group = 0; group < call.shape.groups(); ++group) {
    if (call.shape.kind == NormKind::kLayer) {
      NormRow(call, group);
    } else {
      NormGroup(call, group);
    }
  }
}

// output = (input - mean) / sqrt(variance + epsilon) * gain + bias with the given statistics of
// each feature.
void Compute(const NormInferenceCall& call) {
  const int64_t count = call.shape.rows * call.shape.pixels;
  for (int64_t feature = 0; feature < call.shape.features; ++feature) {
    const double deviation = std::sqrt(static_cast<double>(call.variance[feature]) + call.epsilon);
    Affine(count, call.input + feature * count, call.mean[feature],
           static_cast<float>(call.gain[feature] / deviation), call.bias[feature],
           call.output + feature * count);
  }
}

}  // namespace ringmaster::cpu
