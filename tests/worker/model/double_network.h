#ifndef RINGMASTER_TESTS_WORKER_MODEL_DOUBLE_NETWORK_H_
#define RINGMASTER_TESTS_WORKER_MODEL_DOUBLE_NETWORK_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "common/params/param_layout.h"
#include "proto/run_spec.pb.h"
#include "worker/data/samples.h"

namespace ringmaster {

// The models once more, forward only, in double precision and straight from their definitions:
// images by sample, channel, row and column; convolution plus bias, then relu, then pooling. Shares
// no code with the models it is held against.

// Parameter tensors by name.
using DoubleParams = std::map<std::string, std::vector<double>>;
DoubleParams ToDouble(const ParamLayout& layout, absl::Span<const float> arena);

struct DoubleBatch {
  SampleShape shape;
  std::vector<double> features;  // [count][channels][height][width]
  std::vector<int32_t> tokens;   // [count][context]
  std::vector<int32_t> labels;   // [count][shape.labels()]
  bool training = false;
  uint64_t dropout_seed = 0;
};

// What dropout with this rate leaves of activations at the place `name`.
void DropInDouble(const DoubleBatch& batch, const std::string& name, float rate,
                  std::vector<double>* values);
// The mean cross-entropy of rows of logits.
double MeanLossInDouble(const std::vector<double>& logits, const std::vector<int32_t>& labels);

// The mean loss of the batch.
double LenetLoss(const DoubleParams& params, const DoubleBatch& batch);
double CnnLoss(const DoubleParams& params, const DoubleBatch& batch);
double MlpLoss(const DoubleParams& params, const DoubleBatch& batch, int layers, float dropout);
// `statistics`, unless null: what a training batch gives for each running statistic, by name.
double ResnetLoss(const DoubleParams& params, const DoubleBatch& batch, const ResnetSpec& spec,
                  DoubleParams* statistics);
double TransformerLoss(const DoubleParams& params, const DoubleBatch& batch,
                       const TransformerSpec& spec, float dropout);

}  // namespace ringmaster

#endif  // RINGMASTER_TESTS_WORKER_MODEL_DOUBLE_NETWORK_H_
