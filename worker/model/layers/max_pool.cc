#include "worker/model/layers/max_pool.h"

#include <utility>

#include "common/base/partition.h"
#include "common/base/status_macros.h"

namespace ringmaster {
namespace {

int64_t OutputElements(const MaxPool2dOptions& options) {
  return options.channels * ExactDiv(options.height, 2) * ExactDiv(options.width, 2);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Layer>> MaxPool2d::Create(const MaxPool2dOptions& options,
                                                         KernelLibrary& kernels) {
  RM_ASSIGN_OR_RETURN(Buffer argmax, kernels.Allocate(options.max_batch * OutputElements(options)));
  return std::unique_ptr<Layer>(new MaxPool2d(options, std::move(argmax)));
}

MaxPool2d::MaxPool2d(const MaxPool2dOptions& options, Buffer argmax)
    : options_(options), argmax_(std::move(argmax)) {}

int64_t MaxPool2d::output_elements() const { return OutputElements(options_); }

void MaxPool2d::Forward(const LayerCall& call, Operations* operations) {
  operations->emplace_back(MaxPoolCall{options_.channels * call.batch, options_.height,
                                       options_.width, call.input, call.output,
                                       reinterpret_cast<uint8_t*>(argmax_.data())});
}

void MaxPool2d::ParamGradient(const LayerCall& call, Operations* operations) {}

void MaxPool2d::InputGradient(const LayerCall& call, Operations* operations) {
  operations->emplace_back(MaxPoolBackwardCall{
      options_.channels * call.batch, options_.height, options_.width, call.output_gradient,
      reinterpret_cast<const uint8_t*>(argmax_.data()), call.input_gradient});
}

}  // namespace ringmaster
