#include "worker/model/model.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "worker/model/lenet.h"
#include "worker/model/mlp.h"

namespace ringmaster {
namespace {

constexpr ModelInfo kModels[] = {
    {"lenet", "two convolutions with pooling and relu, two linear layers; 431 080 parameters on MNIST"},
    {"mlp", "linear layers with relu, sizes from model.mlp_hidden"},
};

}  // namespace

absl::StatusOr<std::unique_ptr<Model>> CreateModel(const ModelSpec& spec, const ModelOptions& options,
                                                   KernelLibrary& kernels) {
  if (spec.name() == "lenet") return CreateLenet(options, kernels);
  if (spec.name() == "mlp") {
    const std::vector<int32_t> hidden(spec.mlp_hidden().begin(), spec.mlp_hidden().end());
    return CreateMlp(hidden, options, kernels);
  }
  std::string known;
  for (const ModelInfo& info : kModels) absl::StrAppend(&known, known.empty() ? "" : ", ", info.name);
  return absl::InvalidArgumentError(absl::StrCat("model.name \"", spec.name(), "\": unknown; known are ", known));
}

absl::Span<const ModelInfo> Models() { return kModels; }

}  // namespace ringmaster
