#include "worker/model/lenet.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "worker/model/conv_stack.h"
#include "worker/model/layers/linear.h"
#include "worker/model/sequential.h"

namespace ringmaster {
namespace {

// Each convolution takes 4 off a side and each pooling halves it, and both halves must be whole.
bool SideFits(int64_t side) { return side >= 16 && side % 4 == 0; }

}  // namespace

absl::StatusOr<std::unique_ptr<Model>> CreateLenet(const ModelOptions& options,
                                                   KernelLibrary& kernels) {
  const SampleShape& sample = options.shape;
  const bool image_fits = sample.channels >= 1 && SideFits(sample.height) && SideFits(sample.width);
  if (!image_fits || sample.classes < 1 || options.max_batch < 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "model \"lenet\" on images of ", sample.channels, "x", sample.height, "x", sample.width,
        " with ", sample.classes, " classes in batches of ", options.max_batch,
        ": at least one of each, and height and width multiples of 4 from 16 up; use model \"mlp\" "
        "for other sizes"));
  }
  LayerList layers;
  ConvStack stack(options, 5, 0, kernels, &layers);
  RM_RETURN_IF_ERROR(stack.Add("conv1", 20));
  RM_RETURN_IF_ERROR(stack.Add("conv2", 50));
  const int64_t features = stack.Flatten();
  RM_RETURN_IF_ERROR(AddLinear({"fc1", features, 500, Activation::kRelu}, kernels, &layers));
  RM_RETURN_IF_ERROR(AddLinear({"fc2", 500, sample.classes}, kernels, &layers));
  return Sequential::Create(std::move(layers), options, kernels);
}

}  // namespace ringmaster
