#include "worker/model/conv_stack.h"

#include <memory>
#include <utility>

#include "common/base/partition.h"
#include "common/base/status_macros.h"
#include "worker/model/layers/bias_relu.h"
#include "worker/model/layers/conv2d.h"
#include "worker/model/layers/max_pool.h"
#include "worker/model/layers/swap_axes.h"

namespace ringmaster {

ConvStack::ConvStack(const ModelOptions& options, int64_t kernel, int64_t padding,
                     KernelLibrary& kernels, LayerList* layers)
    : kernels_(kernels),
      layers_(*layers),
      next_{options.shape.channels,
            options.max_batch,
            options.shape.height,
            options.shape.width,
            kernel,
            padding} {
  if (next_.channels == 1) return;  // one channel lies the same in both orders
  layers_.push_back(std::make_unique<SwapImageAxes>(ImageOrder::kChannelMajor, next_.channels,
                                                    next_.height * next_.width));
}

absl::Status ConvStack::Add(const std::string& name, int64_t out_channels) {
  RM_ASSIGN_OR_RETURN(auto conv, Conv2d::Create({name, next_, out_channels}, kernels_));
  layers_.push_back(std::move(conv));
  const int64_t height = next_.out_height(), width = next_.out_width();
  RM_ASSIGN_OR_RETURN(auto pool,
                      MaxPool2d::Create({out_channels, height, width, next_.images}, kernels_));
  layers_.push_back(std::move(pool));
  const int64_t fan_in = next_.channels * next_.kernel * next_.kernel;
  next_.channels = out_channels;
  next_.height = ExactDiv(height, 2);
  next_.width = ExactDiv(width, 2);
  layers_.push_back(std::make_unique<BiasRelu>(
      BiasReluOptions{name, out_channels, next_.height * next_.width, fan_in}));
  return absl::OkStatus();
}

int64_t ConvStack::Flatten() {
  const int64_t pixels = next_.height * next_.width;
  layers_.push_back(
      std::make_unique<SwapImageAxes>(ImageOrder::kImageMajor, next_.channels, pixels));
  return next_.channels * pixels;
}

}  // namespace ringmaster
