#include "common/formats/weights.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/formats/safetensors.h"

namespace ringmaster {
namespace {

constexpr char kFormatVersion[] = "1";
// So many differences tell what is wrong; a file of another model differs in all.
constexpr size_t kListedDifferences = 6;

std::string ShapeText(absl::Span<const int64_t> shape) { return absl::StrCat("[", absl::StrJoin(shape, ", "), "]"); }

// A text from a file that may hold anything, fit for a message.
std::string Shown(const std::string& text) { return absl::CHexEscape(text.substr(0, 80)); }

}  // namespace

absl::Status SaveArena(const std::string& path, const std::string& model, const ParamLayout& layout,
                       absl::Span<const float> arena) {
  RM_CHECK(static_cast<int64_t>(arena.size()) == layout.count());
  std::vector<NamedTensor> tensors;
  for (const Param& param : layout.params()) {
    tensors.push_back({param.name, param.shape, arena.subspan(param.begin, param.count)});
  }
  return WriteSafetensors(path, {{"format", "ringmaster"}, {"format_version", kFormatVersion}, {"model", model}},
                          tensors);
}

absl::Status LoadArena(const std::string& path, const std::string& model, const ParamLayout& layout,
                       absl::Span<float> arena) {
  RM_CHECK(static_cast<int64_t>(arena.size()) == layout.count());
  RM_ASSIGN_OR_RETURN(const Safetensors file, ReadSafetensors(path));
  std::map<std::string, const LoadedTensor*> found;
  for (const LoadedTensor& tensor : file.tensors) found[tensor.name] = &tensor;
  std::vector<std::string> differences;
  for (const Param& param : layout.params()) {
    const auto tensor = found.find(param.name);
    if (tensor == found.end()) {
      differences.push_back(absl::StrCat(param.name, " ", ShapeText(param.shape), " is missing"));
      continue;
    }
    if (tensor->second->shape != param.shape) {
      differences.push_back(absl::StrCat(param.name, " has shape ", ShapeText(tensor->second->shape), ", expected ",
                                         ShapeText(param.shape)));
    } else {
      std::copy(tensor->second->values.begin(), tensor->second->values.end(), arena.begin() + param.begin);
    }
    found.erase(tensor);
  }
  for (const auto& [name, tensor] : found) {
    differences.push_back(absl::StrCat(Shown(name), " ", ShapeText(tensor->shape), " is not of this model"));
  }
  if (differences.empty()) return absl::OkStatus();
  const size_t more = differences.size() - std::min(differences.size(), kListedDifferences);
  differences.resize(differences.size() - more);
  if (more > 0) differences.push_back(absl::StrCat("and ", more, " more"));
  const auto saved_from = file.metadata.find("model");
  return absl::InvalidArgumentError(absl::StrCat(
      path, " does not fit model \"", model, "\"",
      saved_from == file.metadata.end() ? "" : absl::StrCat(" (it was saved from \"", Shown(saved_from->second), "\")"), ": ",
      absl::StrJoin(differences, "; "), "; choose the model and sizes that the file was saved with"));
}

}  // namespace ringmaster
