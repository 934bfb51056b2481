#include <cmath>

#include "worker/kernels/reference/norm_index.h"
#include "worker/kernels/reference/ops.h"

namespace ringmaster::reference {

// output = (input - mean) / sqrt(variance + epsilon) * gain + bias by group; mean and inverse
// deviation are kept, and the corrected variance where it is asked for. The output is made from the
// statistics before they are rounded.
void Compute(const NormCall& call) {
  const NormIndex index(call.shape);
  const int64_t terms = call.shape.elements_per_group();
  for (int64_t group = 0; group < call.shape.groups(); ++group) {
    double sum = 0;
    for (int64_t i = 0; i < terms; ++i) sum += call.input[index.InGroup(group, i)];
    const double mean = sum / static_cast<double>(terms);
    double squares = 0;
    for (int64_t i = 0; i < terms; ++i) {
      const double difference = call.input[index.InGroup(group, i)] - mean;
      squares += difference * difference;
    }
    const double inverse = 1 / std::sqrt(squares / static_cast<double>(terms) + call.epsilon);
    for (int64_t i = 0; i < terms; ++i) {
      const int64_t at = index.InGroup(group, i);
      const int64_t feature = index.FeatureOf(at);
      call.output[at] = static_cast<float>((call.input[at] - mean) * inverse * call.gain[feature] +
                                           call.bias[feature]);
    }
    call.mean[group] = static_cast<float>(mean);
    call.inverse_deviation[group] = static_cast<float>(inverse);
    if (call.variance != nullptr)
      call.variance[group] = static_cast<float>(squares / static_cast<double>(terms - 1));
  }
}

// output = (input - mean) / sqrt(variance + epsilon) * gain + bias with the given statistics of
// each feature.
void Compute(const NormInferenceCall& call) {
  const NormIndex index(call.shape);
  for (int64_t at = 0; at < call.shape.count(); ++at) {
    const int64_t feature = index.FeatureOf(at);
    const double inverse =
        1 / std::sqrt(static_cast<double>(call.variance[feature]) + call.epsilon);
    const double normalized = (static_cast<double>(call.input[at]) - call.mean[feature]) * inverse;
    call.output[at] = static_cast<float>(normalized * call.gain[feature] + call.bias[feature]);
  }
}

}  // namespace ringmaster::reference
