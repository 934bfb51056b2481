#include "worker/model/layers/residual.h"

#include <utility>

#include "common/base/check.h"
#include "common/base/status_macros.h"

namespace ringmaster {
namespace {

constexpr int64_t kFloatBytes = sizeof(float);

}  // namespace

absl::StatusOr<std::unique_ptr<ResidualFork>> ResidualFork::Create(int64_t elements, int64_t max_batch,
                                                                   KernelLibrary& kernels) {
  RM_ASSIGN_OR_RETURN(Buffer skip_gradient, kernels.Allocate(max_batch * elements * kFloatBytes));
  return std::unique_ptr<ResidualFork>(new ResidualFork(elements, kernels, std::move(skip_gradient)));
}

ResidualFork::ResidualFork(int64_t elements, KernelLibrary& kernels, Buffer skip_gradient)
    : elements_(elements), kernels_(kernels), skip_gradient_(std::move(skip_gradient)) {}

absl::Status ResidualFork::Forward(const LayerCall& call) {
  activation_ = call.output;
  return absl::OkStatus();
}

absl::Status ResidualFork::ParamGradient(const LayerCall& call) { return absl::OkStatus(); }

absl::Status ResidualFork::InputGradient(const LayerCall& call) {
  return kernels_.Add({skip_gradient_.floats(), call.input_gradient, call.batch * elements_});
}

absl::StatusOr<std::unique_ptr<Layer>> ResidualJoin::Create(const ResidualFork& fork, int64_t elements,
                                                            KernelLibrary& kernels) {
  RM_CHECK(fork.output_elements() == elements);
  return std::unique_ptr<Layer>(new ResidualJoin(fork, {}, elements, kernels));
}

absl::StatusOr<std::unique_ptr<Layer>> ResidualJoin::Create(const ResidualFork& fork, ResidualProjection projection,
                                                            int64_t max_batch, KernelLibrary& kernels) {
  const int64_t elements = projection.norm->output_elements();
  RM_CHECK(projection.convolution->output_elements() == elements);
  std::unique_ptr<ResidualJoin> join(new ResidualJoin(fork, std::move(projection), elements, kernels));
  RM_ASSIGN_OR_RETURN(join->convolved_, kernels.Allocate(max_batch * elements * kFloatBytes));
  RM_ASSIGN_OR_RETURN(join->projected_, kernels.Allocate(max_batch * elements * kFloatBytes));
  return std::unique_ptr<Layer>(std::move(join));
}

ResidualJoin::ResidualJoin(const ResidualFork& fork, ResidualProjection projection, int64_t elements,
                           KernelLibrary& kernels)
    : fork_(fork), projection_(std::move(projection)), elements_(elements), kernels_(kernels) {
  if (!has_projection()) return;
  for (const LayerParam& param : projection_.convolution->params()) {
    params_.push_back(param);
    norm_begin_ += ElementCount(param);
  }
  for (const LayerParam& param : projection_.norm->params()) params_.push_back(param);
}

LayerCall ResidualJoin::ConvolutionCall(const LayerCall& call) const {
  LayerCall convolution = call;
  convolution.input = fork_.activation();
  convolution.output = convolved_.floats();
  convolution.output_gradient = projected_.floats();
  convolution.input_gradient = fork_.skip_gradient();
  return convolution;
}

LayerCall ResidualJoin::NormCallOf(const LayerCall& call) const {
  LayerCall norm = call;
  norm.weights = call.weights + norm_begin_;
  norm.gradients = call.gradients == nullptr ? nullptr : call.gradients + norm_begin_;
  norm.input = convolved_.floats();
  norm.output = projected_.floats();
  norm.input_gradient = projected_.floats();
  return norm;
}

absl::Status ResidualJoin::Forward(const LayerCall& call) {
  const int64_t count = call.batch * elements_;
  if (!has_projection()) return kernels_.Add({fork_.activation(), call.output, count});
  RM_RETURN_IF_ERROR(projection_.convolution->Forward(ConvolutionCall(call)));
  RM_RETURN_IF_ERROR(projection_.norm->Forward(NormCallOf(call)));
  return kernels_.Add({projected_.floats(), call.output, count});
}

absl::Status ResidualJoin::ParamGradient(const LayerCall& call) {
  if (!has_projection()) return absl::OkStatus();
  const LayerCall norm = NormCallOf(call);
  RM_RETURN_IF_ERROR(projection_.norm->ParamGradient(norm));
  RM_RETURN_IF_ERROR(projection_.norm->InputGradient(norm));
  return projection_.convolution->ParamGradient(ConvolutionCall(call));
}

absl::Status ResidualJoin::InputGradient(const LayerCall& call) {
  // The branch's gradient is the sum's and lies in place.
  if (has_projection()) return projection_.convolution->InputGradient(ConvolutionCall(call));
  return kernels_.CopyFloats(call.output_gradient, fork_.skip_gradient(), call.batch * elements_);
}

}  // namespace ringmaster
