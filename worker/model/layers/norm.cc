#include "worker/model/layers/norm.h"

#include "common/base/status_macros.h"

namespace ringmaster {
namespace {

LayerParam Statistic(const std::string& name, int64_t features, Init init) {
  LayerParam param{name, {features}, 0, init};
  param.statistic = true;
  return param;
}

std::vector<LayerParam> ParamsOf(const NormOptions& options) {
  const int64_t features = options.shape.features;
  std::vector<LayerParam> params = {
      LayerParam{options.name + ".weight", {features}, 0, Init::kOnes},
      LayerParam{options.name + ".bias", {features}, 0, Init::kZeros}};
  if (options.shape.kind == NormKind::kBatch) {
    params.push_back(Statistic(options.name + ".running_mean", features, Init::kZeros));
    params.push_back(Statistic(options.name + ".running_var", features, Init::kOnes));
  }
  return params;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Layer>> Norm::Create(const NormOptions& options,
                                                    KernelLibrary& kernels) {
  std::unique_ptr<Norm> norm(new Norm(options));
  const int64_t bytes =
      norm->ShapeOf(options.max_batch).groups() * static_cast<int64_t>(sizeof(float));
  RM_ASSIGN_OR_RETURN(norm->mean_, kernels.Allocate(bytes));
  RM_ASSIGN_OR_RETURN(norm->inverse_deviation_, kernels.Allocate(bytes));
  if (norm->has_running_statistics()) {
    RM_ASSIGN_OR_RETURN(norm->variance_, kernels.Allocate(bytes));
  }
  return std::unique_ptr<Layer>(std::move(norm));
}

Norm::Norm(const NormOptions& options) : options_(options), params_(ParamsOf(options)) {}

NormShape Norm::ShapeOf(int64_t batch) const {
  NormShape shape = options_.shape;
  shape.rows *= batch;
  return shape;
}

void Norm::Forward(const LayerCall& call, Operations* operations) {
  const int64_t features = options_.shape.features;
  if (has_running_statistics() && !call.training) {
    NormInferenceCall inference;
    inference.shape = ShapeOf(call.batch);
    inference.input = call.input;
    inference.gain = call.weights;
    inference.bias = call.weights + features;
    inference.mean = call.weights + 2 * features;
    inference.variance = call.weights + 3 * features;
    inference.output = call.output;
    operations->emplace_back(inference);
    return;
  }
  NormCall norm;
  norm.shape = ShapeOf(call.batch);
  norm.input = call.input;
  norm.gain = call.weights;
  norm.bias = call.weights + features;
  norm.output = call.output;
  norm.mean = mean_.floats();
  norm.inverse_deviation = inverse_deviation_.floats();
  norm.variance = variance_.floats();
  operations->emplace_back(norm);
}

void Norm::ParamGradient(const LayerCall& call, Operations* operations) {
  const int64_t features = options_.shape.features;
  NormParamGradientCall gradient;
  gradient.shape = ShapeOf(call.batch);
  gradient.input = call.input;
  gradient.mean = mean_.floats();
  gradient.inverse_deviation = inverse_deviation_.floats();
  gradient.output_gradient = call.output_gradient;
  gradient.gain_gradient = call.gradients;
  gradient.bias_gradient = call.gradients + features;
  operations->emplace_back(gradient);
  if (!has_running_statistics()) return;
  operations->emplace_back(CopyFloatsCall{mean_.floats(), call.gradients + 2 * features, features});
  operations->emplace_back(
      CopyFloatsCall{variance_.floats(), call.gradients + 3 * features, features});
}

void Norm::InputGradient(const LayerCall& call, Operations* operations) {
  NormInputGradientCall gradient;
  gradient.shape = ShapeOf(call.batch);
  gradient.input = call.input;
  gradient.gain = call.weights;
  gradient.mean = mean_.floats();
  gradient.inverse_deviation = inverse_deviation_.floats();
  gradient.output_gradient = call.output_gradient;
  gradient.input_gradient = call.input_gradient;
  operations->emplace_back(gradient);
}

}  // namespace ringmaster
