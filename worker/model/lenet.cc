#include "worker/model/lenet.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/partition.h"
#include "common/base/status_macros.h"
#include "worker/model/layers/bias_relu.h"
#include "worker/model/layers/conv2d.h"
#include "worker/model/layers/linear.h"
#include "worker/model/layers/max_pool.h"
#include "worker/model/layers/swap_axes.h"
#include "worker/model/sequential.h"

namespace ringmaster {
namespace {

constexpr int64_t kKernel = 5;
constexpr int64_t kConv1Channels = 20;
constexpr int64_t kConv2Channels = 50;
constexpr int64_t kHidden = 500;

using Layers = std::vector<std::unique_ptr<Layer>>;

// Each convolution takes 4 off a side and each pooling halves it, and both halves must be whole.
bool SideFits(int64_t side) { return side >= 16 && side % 4 == 0; }

// One convolution, its pooling, its bias and relu. `input` becomes the shape of the next convolution's input.
absl::Status AddConvolution(const std::string& name, int64_t out_channels, KernelLibrary& kernels, ConvShape* input,
                            Layers* layers) {
  RM_ASSIGN_OR_RETURN(auto conv, Conv2d::Create({name, *input, out_channels}, kernels));
  layers->push_back(std::move(conv));
  const int64_t height = input->out_height(), width = input->out_width();
  RM_ASSIGN_OR_RETURN(auto pool, MaxPool2d::Create({out_channels, height, width, input->images}, kernels));
  layers->push_back(std::move(pool));
  const int64_t fan_in = input->channels * kKernel * kKernel;
  *input = {out_channels, input->images, ExactDiv(height, 2), ExactDiv(width, 2), kKernel, 0};
  layers->push_back(std::make_unique<BiasRelu>(
      BiasReluOptions{name, out_channels, input->height * input->width, fan_in}, kernels));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Model>> CreateLenet(const ModelOptions& options, KernelLibrary& kernels) {
  const SampleShape& sample = options.shape;
  const bool image_fits = sample.channels >= 1 && SideFits(sample.height) && SideFits(sample.width);
  if (!image_fits || sample.classes < 1 || options.max_batch < 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "model \"lenet\" on images of ", sample.channels, "x", sample.height, "x", sample.width, " with ",
        sample.classes, " classes in batches of ", options.max_batch,
        ": at least one of each, and height and width multiples of 4 from 16 up; use model \"mlp\" for other sizes"));
  }
  Layers layers;
  if (sample.channels > 1) {
    layers.push_back(std::make_unique<SwapImageAxes>(ImageOrder::kChannelMajor, sample.channels,
                                                     int64_t{sample.height} * sample.width, kernels));
  }
  ConvShape input{sample.channels, options.max_batch, sample.height, sample.width, kKernel, 0};
  RM_RETURN_IF_ERROR(AddConvolution("conv1", kConv1Channels, kernels, &input, &layers));
  RM_RETURN_IF_ERROR(AddConvolution("conv2", kConv2Channels, kernels, &input, &layers));
  const int64_t pixels = input.height * input.width;
  layers.push_back(std::make_unique<SwapImageAxes>(ImageOrder::kImageMajor, kConv2Channels, pixels, kernels));
  layers.push_back(
      std::make_unique<Linear>(LinearOptions{"fc1", kConv2Channels * pixels, kHidden, true}, kernels));
  layers.push_back(std::make_unique<Linear>(LinearOptions{"fc2", kHidden, sample.classes, false}, kernels));
  return Sequential::Create(std::move(layers), options, kernels);
}

}  // namespace ringmaster
