#include "worker/model/layers/linear.h"

#include <memory>
#include <utility>

#include "common/base/check.h"
#include "common/base/status_macros.h"

namespace ringmaster {
namespace {

std::vector<LayerParam> ParamsOf(const LinearOptions& options) {
  RM_CHECK(options.bias || options.activation == Activation::kNone);
  if (options.shares != nullptr) {
    RM_CHECK(!options.bias);
    return {};
  }
  const bool normal = options.deviation > 0;
  std::vector<LayerParam> params = {LayerParam{options.name + ".weight",
                                               {options.outputs, options.inputs},
                                               options.inputs,
                                               normal ? Init::kNormal : Init::kUniform,
                                               options.deviation}};
  if (options.bias) {
    params.push_back({options.name + ".bias",
                      {options.outputs},
                      options.inputs,
                      normal ? Init::kZeros : Init::kUniform});
  }
  return params;
}

}  // namespace

Linear::Linear(const LinearOptions& options, Buffer pre_activation)
    : options_(options), params_(ParamsOf(options)), pre_activation_(std::move(pre_activation)) {}

void Linear::Forward(const LayerCall& call, Operations* operations) {
  const bool gelu = options_.activation == Activation::kGelu;
  GemmCall gemm;
  gemm.transpose_b = true;
  gemm.m = rows(call);
  gemm.n = options_.outputs;
  gemm.k = options_.inputs;
  gemm.a = call.input;
  gemm.lda = options_.inputs;
  gemm.b = options_.shares != nullptr ? call.shared_weights : call.weights;
  gemm.ldb = options_.inputs;
  gemm.c = gelu ? pre_activation_.floats() : call.output;
  gemm.ldc = options_.outputs;
  operations->emplace_back(gemm);
  if (!options_.bias) return;
  const float* bias = call.weights + weight_count();
  if (gelu) {
    operations->emplace_back(
        GeluCall{pre_activation_.floats(), rows(call), options_.outputs, bias, call.output});
  } else {
    operations->emplace_back(BiasCall{call.output, rows(call), options_.outputs, bias,
                                      BiasAxis::kPerColumn,
                                      options_.activation == Activation::kRelu});
  }
}

void Linear::ActivationGradient(const LayerCall& call, Operations* operations) {
  const int64_t count = rows(call) * options_.outputs;
  switch (options_.activation) {
    case Activation::kNone:
      break;
    case Activation::kRelu:
      operations->emplace_back(ReluBackwardCall{call.output, call.output_gradient, count});
      break;
    case Activation::kGelu:
      operations->emplace_back(
          GeluBackwardCall{pre_activation_.floats(), call.output_gradient, count});
      break;
  }
}

void Linear::ParamGradient(const LayerCall& call, Operations* operations) {
  ActivationGradient(call, operations);
  GemmCall gemm;
  gemm.transpose_a = true;
  gemm.m = options_.outputs;
  gemm.n = options_.inputs;
  gemm.k = rows(call);
  gemm.a = call.output_gradient;
  gemm.lda = options_.outputs;
  gemm.b = call.input;
  gemm.ldb = options_.inputs;
  gemm.c = options_.shares != nullptr ? call.shared_gradients : call.gradients;
  gemm.ldc = options_.inputs;
  operations->emplace_back(gemm);
  if (!options_.bias) return;
  operations->emplace_back(BiasGradientCall{call.output_gradient, rows(call), options_.outputs,
                                            call.gradients + weight_count(), BiasAxis::kPerColumn});
}

void Linear::InputGradient(const LayerCall& call, Operations* operations) {
  GemmCall gemm;
  gemm.m = rows(call);
  gemm.n = options_.inputs;
  gemm.k = options_.outputs;
  gemm.a = call.output_gradient;
  gemm.lda = options_.outputs;
  gemm.b = options_.shares != nullptr ? call.shared_weights : call.weights;
  gemm.ldb = options_.inputs;
  gemm.c = call.input_gradient;
  gemm.ldc = options_.inputs;
  operations->emplace_back(gemm);
}

absl::Status AddLinear(const LinearOptions& options, KernelLibrary& kernels, LayerList* layers) {
  Buffer pre_activation;
  if (options.activation == Activation::kGelu) {
    RM_ASSIGN_OR_RETURN(pre_activation,
                        kernels.Allocate(options.max_batch * options.rows_per_sample *
                                         options.outputs * static_cast<int64_t>(sizeof(float))));
  }
  layers->push_back(std::make_unique<Linear>(options, std::move(pre_activation)));
  return absl::OkStatus();
}

}  // namespace ringmaster
