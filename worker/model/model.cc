#include "worker/model/model.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/known_words.h"
#include "common/base/status_macros.h"
#include "proto/model_spec.pb.h"
#include "worker/model/cnn.h"
#include "worker/model/lenet.h"
#include "worker/model/mlp.h"
#include "worker/model/program_model.h"
#include "worker/model/resnet.h"
#include "worker/model/transformer.h"

namespace ringmaster {
namespace {

constexpr ModelInfo kModels[] = {
    {"lenet",
     "two convolutions with pooling and relu, two linear layers; 431 080 parameters on MNIST"},
    {"mlp", "linear layers with relu, sizes from model.mlp_hidden"},
    {"cnn",
     "two wider convolutions, padded, a hidden linear layer of 1024; 3 274 634 parameters on "
     "MNIST"},
    {"resnet",
     "residual blocks in three stages with batch or group norm (model.resnet); 272 474 weights on "
     "CIFAR-10"},
    {"transformer", "pre-norm decoder over tokens, learned positions (model.transformer)", true},
    {kProgramModel, "a program's own, which computes its gradients itself (--program)"},
};

std::string NamesWhere(bool (*fits)(const ModelInfo&)) {
  std::string names;
  for (const ModelInfo& info : kModels) {
    if (info.name == absl::string_view(kProgramModel) || !fits(info)) continue;
    absl::StrAppend(&names, names.empty() ? "" : ", ", info.name);
  }
  return names;
}

// Whether the model takes texts or images, as the samples are.
absl::Status CheckKind(const ModelSpec& spec, const SampleShape& shape) {
  for (const ModelInfo& info : kModels) {
    if (spec.name() != info.name) continue;
    const bool texts = shape.context > 0;
    if (info.takes_texts == texts) return absl::OkStatus();
    if (texts) {
      return absl::InvalidArgumentError(
          absl::StrCat("model \"", spec.name(), "\" on texts of ", shape.context,
                       " tokens: it takes images; models for texts are ",
                       NamesWhere([](const ModelInfo& known) { return known.takes_texts; })));
    }
    return absl::InvalidArgumentError(
        absl::StrCat("model \"", spec.name(), "\" on images of ", shape.channels, "x", shape.height,
                     "x", shape.width, ": it takes texts; models for images are ",
                     NamesWhere([](const ModelInfo& known) { return !known.takes_texts; })));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("model.name \"", spec.name(), "\": unknown; ",
                   KnownWordsText(spec.name(), RegistryNames(kModels))));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Model>> CreateModel(const ModelSpec& spec,
                                                   const ModelOptions& options,
                                                   KernelLibrary& kernels) {
  if (spec.name() == kProgramModel) {
    if (spec.program().tensors().empty()) {
      return absl::InvalidArgumentError(
          "model.program.tensors: none; expected those that the program trains");
    }
    return CreateDescribedModel(ProgramLayout(spec.program(), options));
  }
  RM_RETURN_IF_ERROR(CheckKind(spec, options.shape));
  if (!(spec.dropout() >= 0 && spec.dropout() < 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("model.dropout = ", spec.dropout(), ": expected 0 or more and below 1"));
  }
  if (spec.name() == "lenet") return CreateLenet(options, kernels);
  if (spec.name() == "cnn") return CreateCnn(spec.dropout(), options, kernels);
  if (spec.name() == "resnet") return CreateResnet(spec.resnet(), options, kernels);
  if (spec.name() == "transformer") {
    return CreateTransformer(spec.transformer(), spec.dropout(), options, kernels);
  }
  const std::vector<int32_t> hidden(spec.mlp_hidden().begin(), spec.mlp_hidden().end());
  return CreateMlp({hidden, spec.dropout()}, options, kernels);
}

absl::Span<const ModelInfo> Models() { return kModels; }

}  // namespace ringmaster
