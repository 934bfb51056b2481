#include "worker/model/layers/residual.h"

#include <utility>

#include "common/base/check.h"
#include "common/base/status_macros.h"

namespace ringmaster {
namespace {

constexpr int64_t kFloatBytes = sizeof(float);

}  // namespace

absl::StatusOr<std::unique_ptr<ResidualFork>> ResidualFork::Create(int64_t elements,
                                                                   int64_t max_batch,
                                                                   KernelLibrary& kernels) {
  RM_ASSIGN_OR_RETURN(Buffer skip_gradient, kernels.Allocate(max_batch * elements * kFloatBytes));
  return std::unique_ptr<ResidualFork>(new ResidualFork(elements, std::move(skip_gradient)));
}

ResidualFork::ResidualFork(int64_t elements, Buffer skip_gradient)
    : elements_(elements), skip_gradient_(std::move(skip_gradient)) {}

void ResidualFork::Forward(const LayerCall& call, Operations* operations) {
  activation_ = call.output;
}

void ResidualFork::ParamGradient(const LayerCall& call, Operations* operations) {}

void ResidualFork::InputGradient(const LayerCall& call, Operations* operations) {
  operations->emplace_back(
      AddCall{skip_gradient_.floats(), call.input_gradient, call.batch * elements_});
}

std::unique_ptr<Layer> ResidualJoin::Create(const ResidualFork& fork, int64_t elements) {
  RM_CHECK(fork.output_elements() == elements);
  return std::unique_ptr<Layer>(new ResidualJoin(fork, {}, elements));
}

absl::StatusOr<std::unique_ptr<Layer>> ResidualJoin::Create(const ResidualFork& fork,
                                                            ResidualProjection projection,
                                                            int64_t max_batch,
                                                            KernelLibrary& kernels) {
  const int64_t elements = projection.norm->output_elements();
  RM_CHECK(projection.convolution->output_elements() == elements);
  std::unique_ptr<ResidualJoin> join(new ResidualJoin(fork, std::move(projection), elements));
  RM_ASSIGN_OR_RETURN(join->convolved_, kernels.Allocate(max_batch * elements * kFloatBytes));
  RM_ASSIGN_OR_RETURN(join->projected_, kernels.Allocate(max_batch * elements * kFloatBytes));
  return std::unique_ptr<Layer>(std::move(join));
}

ResidualJoin::ResidualJoin(const ResidualFork& fork, ResidualProjection projection,
                           int64_t elements)
    : fork_(fork), projection_(std::move(projection)), elements_(elements) {
  if (!has_projection()) return;
  for (const LayerParam& param : projection_.convolution->params()) {
    params_.push_back(param);
    norm_begin_ += ElementCount(param);
  }
  for (const LayerParam& param : projection_.norm->params()) params_.push_back(param);
}

LayerCall ResidualJoin::ConvolutionCallOf(const LayerCall& call) const {
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

void ResidualJoin::Forward(const LayerCall& call, Operations* operations) {
  const int64_t count = call.batch * elements_;
  if (!has_projection()) {
    operations->emplace_back(AddCall{fork_.activation(), call.output, count});
    return;
  }
  projection_.convolution->Forward(ConvolutionCallOf(call), operations);
  projection_.norm->Forward(NormCallOf(call), operations);
  operations->emplace_back(AddCall{projected_.floats(), call.output, count});
}

void ResidualJoin::ParamGradient(const LayerCall& call, Operations* operations) {
  if (!has_projection()) return;
  const LayerCall norm = NormCallOf(call);
  projection_.norm->ParamGradient(norm, operations);
  projection_.norm->InputGradient(norm, operations);
  projection_.convolution->ParamGradient(ConvolutionCallOf(call), operations);
}

void ResidualJoin::InputGradient(const LayerCall& call, Operations* operations) {
  // The branch's gradient is the sum's and lies in place.
  if (has_projection()) {
    projection_.convolution->InputGradient(ConvolutionCallOf(call), operations);
    return;
  }
  operations->emplace_back(
      CopyFloatsCall{call.output_gradient, fork_.skip_gradient(), call.batch * elements_});
}

}  // namespace ringmaster
