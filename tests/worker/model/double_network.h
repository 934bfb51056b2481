#ifndef RINGMASTER_TESTS_WORKER_MODEL_DOUBLE_NETWORK_H_
#define RINGMASTER_TESTS_WORKER_MODEL_DOUBLE_NETWORK_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "common/params/param_layout.h"
#include "worker/data/dataset.h"

namespace ringmaster {

// The models once more, forward only, in double precision and straight from their definitions: images by sample,
// channel, row and column; convolution plus bias, then relu, then pooling. Shares no code with the models it is held
// against.

// Parameter tensors by name.
using DoubleParams = std::map<std::string, std::vector<double>>;
DoubleParams ToDouble(const ParamLayout& layout, absl::Span<const float> arena);

struct DoubleBatch {
  SampleShape shape;
  std::vector<double> features;  // [count][channels][height][width]
  std::vector<int32_t> labels;
};

// The mean loss of the batch.
double LenetLoss(const DoubleParams& params, const DoubleBatch& batch);
double CnnLoss(const DoubleParams& params, const DoubleBatch& batch);
double MlpLoss(const DoubleParams& params, const DoubleBatch& batch, int layers);

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_WORKER_MODEL_DOUBLE_NETWORK_H_
