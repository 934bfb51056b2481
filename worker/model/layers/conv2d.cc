#include "worker/model/layers/conv2d.h"

#include <utility>

#include "common/base/status_macros.h"

namespace ringmaster {

absl::StatusOr<std::unique_ptr<Layer>> Conv2d::Create(const Conv2dOptions& options,
                                                      KernelLibrary& kernels) {
  const int64_t floats = kernels.convolution_scratch_floats(options.shape, options.out_channels);
  RM_ASSIGN_OR_RETURN(Buffer scratch,
                      kernels.Allocate(floats * static_cast<int64_t>(sizeof(float))));
  return std::unique_ptr<Layer>(new Conv2d(options, std::move(scratch)));
}

Conv2d::Conv2d(const Conv2dOptions& options, Buffer scratch)
    : options_(options),
      params_{LayerParam{options.name + ".weight",
                         {options.out_channels, options.shape.channels, options.shape.kernel,
                          options.shape.kernel},
                         options.shape.channels * options.shape.kernel * options.shape.kernel}},
      scratch_(std::move(scratch)) {}

ConvShape Conv2d::ShapeOf(int64_t batch) const {
  ConvShape shape = options_.shape;
  shape.images = batch;
  return shape;
}

void Conv2d::Forward(const LayerCall& call, Operations* operations) {
  operations->emplace_back(ConvolutionCall{ShapeOf(call.batch), options_.shape,
                                           options_.out_channels, call.input, call.weights,
                                           call.output, scratch_.floats()});
}

void Conv2d::ParamGradient(const LayerCall& call, Operations* operations) {
  operations->emplace_back(ConvolutionWeightGradientCall{
      ShapeOf(call.batch), options_.shape, options_.out_channels, call.input, call.output_gradient,
      call.gradients, scratch_.floats()});
}

void Conv2d::InputGradient(const LayerCall& call, Operations* operations) {
  operations->emplace_back(ConvolutionInputGradientCall{
      ShapeOf(call.batch), options_.shape, options_.out_channels, call.weights,
      call.output_gradient, call.input_gradient, scratch_.floats()});
}

}  // namespace ringmaster
