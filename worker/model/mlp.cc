#include "worker/model/mlp.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "worker/model/layers/linear.h"
#include "worker/model/sequential.h"

namespace ringmaster {

absl::StatusOr<std::unique_ptr<Model>> CreateMlp(absl::Span<const int32_t> hidden, const ModelOptions& options,
                                                 KernelLibrary& kernels) {
  const SampleShape& sample = options.shape;
  if (sample.channels < 1 || sample.height < 1 || sample.width < 1 || sample.classes < 1) {
    return absl::InvalidArgumentError(absl::StrCat("model \"mlp\" on samples of ", sample.channels, "x", sample.height,
                                                   "x", sample.width, " with ", sample.classes,
                                                   " classes: each must be at least 1"));
  }
  std::vector<std::unique_ptr<Layer>> layers;
  int64_t inputs = sample.features();
  for (int32_t outputs : hidden) {
    if (outputs < 1) {
      return absl::InvalidArgumentError(absl::StrCat("model \"mlp\": hidden layer ", layers.size() + 1, " of size ",
                                                     outputs, ": each must be at least 1; see model.mlp_hidden"));
    }
    layers.push_back(std::make_unique<Linear>(
        LinearOptions{absl::StrCat("fc", layers.size() + 1), inputs, outputs, true}, kernels));
    inputs = outputs;
  }
  layers.push_back(std::make_unique<Linear>(
      LinearOptions{absl::StrCat("fc", layers.size() + 1), inputs, sample.classes, false}, kernels));
  return Sequential::Create(std::move(layers), options, kernels);
}

}  // namespace ringmaster
