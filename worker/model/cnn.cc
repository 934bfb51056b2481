#include "worker/model/cnn.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "worker/model/conv_stack.h"
#include "worker/model/layers/dropout.h"
#include "worker/model/layers/linear.h"
#include "worker/model/sequential.h"

namespace ringmaster {
namespace {

constexpr int64_t kHidden = 1024;

// Each of the two poolings must find even sides.
bool SideFits(int64_t side) { return side >= 4 && side % 4 == 0; }

}  // namespace

absl::StatusOr<std::unique_ptr<Model>> CreateCnn(float dropout, const ModelOptions& options,
                                                 KernelLibrary& kernels) {
  const SampleShape& sample = options.shape;
  const bool image_fits = sample.channels >= 1 && SideFits(sample.height) && SideFits(sample.width);
  if (!image_fits || sample.classes < 1 || options.max_batch < 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "model \"cnn\" on images of ", sample.channels, "x", sample.height, "x", sample.width,
        " with ", sample.classes, " classes in batches of ", options.max_batch,
        ": at least one of each, and height and width multiples of 4; use model \"resnet\" or "
        "\"mlp\" for other sizes"));
  }
  LayerList layers;
  ConvStack stack(options, 5, 2, kernels, &layers);
  RM_RETURN_IF_ERROR(stack.Add("conv1", 32));
  RM_RETURN_IF_ERROR(stack.Add("conv2", 64));
  const int64_t features = stack.Flatten();
  RM_RETURN_IF_ERROR(AddLinear({"fc1", features, kHidden, Activation::kRelu}, kernels, &layers));
  AddDropout({"fc1", kHidden, dropout}, &layers);
  RM_RETURN_IF_ERROR(AddLinear({"fc2", kHidden, sample.classes}, kernels, &layers));
  return Sequential::Create(std::move(layers), options, kernels);
}

}  // namespace ringmaster
