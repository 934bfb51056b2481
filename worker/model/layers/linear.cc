#include "worker/model/layers/linear.h"

#include "common/base/status_macros.h"

namespace ringmaster {

Linear::Linear(const LinearOptions& options, KernelLibrary& kernels)
    : options_(options),
      kernels_(kernels),
      params_{LayerParam{options.name + ".weight", {options.outputs, options.inputs}, options.inputs},
              LayerParam{options.name + ".bias", {options.outputs}, options.inputs}} {}

absl::Status Linear::Forward(const LayerCall& call) {
  GemmCall gemm;
  gemm.transpose_b = true;
  gemm.m = call.batch;
  gemm.n = options_.outputs;
  gemm.k = options_.inputs;
  gemm.a = call.input;
  gemm.lda = options_.inputs;
  gemm.b = call.weights;
  gemm.ldb = options_.inputs;
  gemm.c = call.output;
  gemm.ldc = options_.outputs;
  RM_RETURN_IF_ERROR(kernels_.Gemm(gemm));
  return kernels_.AddBias({call.output, call.batch, options_.outputs, call.weights + weight_count(),
                           BiasAxis::kPerColumn, options_.relu});
}

absl::Status Linear::ParamGradient(const LayerCall& call) {
  if (options_.relu) {
    RM_RETURN_IF_ERROR(
        kernels_.ReluBackward({call.output, call.output_gradient, call.batch * options_.outputs}));
  }
  GemmCall gemm;
  gemm.transpose_a = true;
  gemm.m = options_.outputs;
  gemm.n = options_.inputs;
  gemm.k = call.batch;
  gemm.a = call.output_gradient;
  gemm.lda = options_.outputs;
  gemm.b = call.input;
  gemm.ldb = options_.inputs;
  gemm.c = call.gradients;
  gemm.ldc = options_.inputs;
  RM_RETURN_IF_ERROR(kernels_.Gemm(gemm));
  return kernels_.BiasGradient({call.output_gradient, call.batch, options_.outputs, call.gradients + weight_count(),
                                BiasAxis::kPerColumn});
}

absl::Status Linear::InputGradient(const LayerCall& call) {
  GemmCall gemm;
  gemm.m = call.batch;
  gemm.n = options_.inputs;
  gemm.k = options_.outputs;
  gemm.a = call.output_gradient;
  gemm.lda = options_.outputs;
  gemm.b = call.weights;
  gemm.ldb = options_.inputs;
  gemm.c = call.input_gradient;
  gemm.ldc = options_.inputs;
  return kernels_.Gemm(gemm);
}

}  // namespace ringmaster
