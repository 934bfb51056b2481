#include "experiments/program/cli/weights_file.h"

#include <algorithm>
#include <set>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/log/log.h"

namespace ringmaster {
namespace {

using Shape = std::vector<int64_t>;

// The shape of a parameter of so many dimensions; empty: there is none.
Shape Of(const WeightsHeader& header, const std::string& name, size_t dimensions) {
  const auto found = header.shapes.find(name);
  return found == header.shapes.end() || found->second.size() != dimensions ? Shape()
                                                                            : found->second;
}

// How many of PREFIX0SUFFIX, PREFIX1SUFFIX, ... there are.
int CountOf(const WeightsHeader& header, const std::string& prefix, const std::string& suffix) {
  int count = 0;
  while (header.shapes.count(absl::StrCat(prefix, count, suffix)) > 0) ++count;
  return count;
}

std::string Transformer(const WeightsHeader& header) {
  const Shape table = Of(header, "tok.weight", 2);
  const bool tied = header.shapes.count("head.weight") == 0;
  return absl::StrCat("--model transformer --set model.transformer.layers=",
                      CountOf(header, "blocks.", ".norm1.weight"),
                      " --set model.transformer.width=", table[1],
                      tied ? " --set model.transformer.tied_head=true" : "",
                      " --set model.transformer.heads=H (no tensor shows H)");
}

std::string Resnet(const WeightsHeader& header) {
  const bool batch = header.shapes.count("bn1.running_mean") > 0;
  return absl::StrCat(
      "--model resnet --set model.resnet.blocks=", CountOf(header, "layer1.", ".conv1.weight"),
      " --set model.resnet.width=", Of(header, "conv1.weight", 4)[0],
      batch ? "" : " --set model.resnet.norm=group");
}

// Empty: no such network.
std::string Mlp(const WeightsHeader& header) {
  std::vector<int64_t> hidden;
  for (int layer = 1;; ++layer) {
    const Shape shape = Of(header, absl::StrCat("fc", layer, ".weight"), 2);
    if (shape.empty()) break;
    hidden.push_back(shape[0]);
  }
  // A weight and a bias each, the last one for the classes.
  if (hidden.empty() || header.shapes.size() != 2 * hidden.size()) return "";
  hidden.pop_back();
  return absl::StrCat("--model mlp --set model.mlp_hidden=", absl::StrJoin(hidden, ","));
}

}  // namespace

std::string FlagsOfModel(const WeightsHeader& header) {
  if (!Of(header, "tok.weight", 2).empty()) return Transformer(header);
  const Shape first = Of(header, "conv1.weight", 4);
  if (first.empty()) return Mlp(header);
  if (header.shapes.count("layer1.0.conv1.weight") > 0) return Resnet(header);
  if (header.shapes.count("conv2.weight") == 0 || header.shapes.count("fc2.weight") == 0) return "";
  return first[0] == 20 ? "--model lenet" : first[0] == 32 ? "--model cnn" : "";
}

absl::StatusOr<ModelSpec> ModelOfWeights(const std::string& path, const WeightsHeader& header) {
  if (!absl::IsNotFound(header.model.status())) return header.model;
  const std::string flags = FlagsOfModel(header);
  // Older files of ours have the name, and these models have no sizes.
  const bool has_no_sizes = header.model_name == "lenet" || header.model_name == "cnn";
  if (has_no_sizes && flags == absl::StrCat("--model ", header.model_name)) {
    ModelSpec model;
    model.set_name(header.model_name);
    return model;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "--weights ", path,
      ": the file does not say which model it was saved from; give --model and its sizes",
      flags.empty() ? " (its tensors are of no model that `ringmaster list` has)"
                    : absl::StrCat(", what fits its tensors is ", flags)));
}

void TellOfWeights(const std::vector<RunSpec>& specs) {
  std::set<std::string> files;
  for (const RunSpec& spec : specs) {
    const std::string& file = spec.training().init_weights();
    // A program has said itself what it starts from.
    if (file.empty() || spec.model().name() == "program" || !files.insert(file).second) continue;
    if (!spec.has_evaluation()) {
      Log(LogLevel::kInfo, absl::StrCat(file,
                                        ": its weights go on; the optimizer's state, error "
                                        "feedback, the rate's schedule and the data order "
                                        "begin anew"));
    }
    const absl::StatusOr<WeightsHeader> header = ReadWeightsHeader(file);
    if (header.ok() && !header->changes.empty()) Log(LogLevel::kInfo, header->changes);
  }
}

}  // namespace ringmaster
