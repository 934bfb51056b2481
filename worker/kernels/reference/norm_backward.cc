#include "worker/kernels/reference/norm_index.h"
#include "worker/kernels/reference/ops.h"

namespace ringmaster::reference {

// gain_gradient[f] = sum of output_gradient * normalized input, bias_gradient[f] = sum of
// output_gradient.
void Compute(const NormParamGradientCall& call) {
  const NormIndex index(call.shape);
  for (int64_t feature = 0; feature < call.shape.features; ++feature) {
    double gain = 0, bias = 0;
    for (int64_t i = 0; i < index.per_feature(); ++i) {
      const int64_t at = index.InFeature(feature, i);
      const int64_t group = index.GroupOf(at);
      const double normalized =
          (static_cast<double>(call.input[at]) - call.mean[group]) * call.inverse_deviation[group];
      gain += call.output_gradient[at] * normalized;
      bias += call.output_gradient[at];
    }
    call.gain_gradient[feature] = static_cast<float>(gain);
    call.bias_gradient[feature] = static_cast<float>(bias);
  }
}

// With g = output_gradient * gain and x^ the normalized input of a group:
// input_gradient = inverse_deviation * (g - mean(g) - x^ * mean(g x^)). Source: Ioffe and Szegedy
// 2015, section 3.
void Compute(const NormInputGradientCall& call) {
  const NormIndex index(call.shape);
  const int64_t terms = call.shape.elements_per_group();
  for (int64_t group = 0; group < call.shape.groups(); ++group) {
    const double mean = call.mean[group], inverse = call.inverse_deviation[group];
    double sum = 0, sum_normalized = 0;
    for (int64_t i = 0; i < terms; ++i) {
      const int64_t at = index.InGroup(group, i);
      const double gradient =
          static_cast<double>(call.output_gradient[at]) * call.gain[index.FeatureOf(at)];
      sum += gradient;
      sum_normalized += gradient * (call.input[at] - mean) * inverse;
    }
    for (int64_t i = 0; i < terms; ++i) {
      const int64_t at = index.InGroup(group, i);
      const double gradient =
          static_cast<double>(call.output_gradient[at]) * call.gain[index.FeatureOf(at)];
      const double normalized = (call.input[at] - mean) * inverse;
      const double through_statistics =
          (sum + normalized * sum_normalized) / static_cast<double>(terms);
      call.input_gradient[at] = static_cast<float>(inverse * (gradient - through_statistics));
    }
  }
}

}  // namespace ringmaster::reference
