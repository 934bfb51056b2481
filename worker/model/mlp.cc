#include "worker/model/mlp.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "worker/model/layers/dropout.h"
#include "worker/model/layers/linear.h"
#include "worker/model/sequential.h"

namespace ringmaster {

absl::StatusOr<std::unique_ptr<Model>> CreateMlp(const MlpOptions& mlp, const ModelOptions& options,
                                                 KernelLibrary& kernels) {
  const SampleShape& sample = options.shape;
  if (sample.channels < 1 || sample.height < 1 || sample.width < 1 || sample.classes < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("model \"mlp\" on samples of ", sample.channels, "x", sample.height, "x",
                     sample.width, " with ", sample.classes, " classes: each must be at least 1"));
  }
  LayerList layers;
  int64_t inputs = sample.features();
  for (size_t i = 0; i < mlp.hidden.size(); ++i) {
    const int32_t outputs = mlp.hidden[i];
    if (outputs < 1) {
      return absl::InvalidArgumentError(
          absl::StrCat("model \"mlp\": hidden layer ", i + 1, " of size ", outputs,
                       ": each must be at least 1; see model.mlp_hidden"));
    }
    const std::string name = absl::StrCat("fc", i + 1);
    RM_RETURN_IF_ERROR(AddLinear({name, inputs, outputs, Activation::kRelu}, kernels, &layers));
    AddDropout({name, outputs, mlp.dropout}, &layers);
    inputs = outputs;
  }
  const std::string last = absl::StrCat("fc", mlp.hidden.size() + 1);
  RM_RETURN_IF_ERROR(AddLinear({last, inputs, sample.classes}, kernels, &layers));
  return Sequential::Create(std::move(layers), options, kernels);
}

}  // namespace ringmaster
