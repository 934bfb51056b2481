#include "common/formats/weights.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/config/textproto.h"
#include "common/formats/safetensors.h"
#include "google/protobuf/text_format.h"

namespace ringmaster {
namespace {

constexpr char kFormatVersion[] = "1";
// Keys of the metadata.
constexpr char kModelName[] = "model";
constexpr char kModelSpec[] = "model_spec";
constexpr char kDataName[] = "data";
// A message lists this many differences; a file of another model differs everywhere.
constexpr size_t kListedDifferences = 6;

std::string ShapeText(absl::Span<const int64_t> shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

// A text from a file that may hold anything, fit for a message.
std::string Shown(const std::string& text) { return absl::CHexEscape(text.substr(0, 80)); }

// Wrappers' names for what they wrap.
constexpr absl::string_view kWrappers[] = {"module", "_orig_mod"};

// The tensors by their names without wrappers. InvalidArgument: two have the same.
absl::StatusOr<std::map<std::string, const LoadedTensor*>> ByName(const std::string& path,
                                                                  const Safetensors& file) {
  std::map<std::string, const LoadedTensor*> tensors;
  for (const LoadedTensor& tensor : file.tensors) {
    const auto [place, is_new] = tensors.emplace(WithoutWrappers(tensor.name), &tensor);
    if (is_new) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": \"", Shown(place->second->name), "\" and \"", Shown(tensor.name), "\" are both ",
        Shown(place->first), " without the prefixes of PyTorch's wrappers; keep one of them"));
  }
  return tensors;
}

std::string Counted(size_t count, absl::string_view one) {
  return absl::StrCat(count, " ", one, count == 1 ? "" : "s");
}

// What is done to names and types, in one line.
std::string ChangesOf(const std::string& path, const Safetensors& file) {
  std::vector<std::string> changes;
  size_t renamed = 0, halves = 0, bfloats = 0;
  std::set<std::string> prefixes;
  for (const LoadedTensor& tensor : file.tensors) {
    halves += tensor.dtype == "F16";
    bfloats += tensor.dtype == "BF16";
    if (WithoutWrappers(tensor.name) == tensor.name) continue;
    ++renamed;
    for (const absl::string_view part : absl::StrSplit(tensor.name, '.')) {
      if (absl::c_linear_search(kWrappers, part)) prefixes.insert(absl::StrCat("\"", part, ".\""));
    }
  }
  if (renamed > 0) {
    changes.push_back(absl::StrCat(prefixes.size() == 1 ? "prefix " : "prefixes ",
                                   absl::StrJoin(prefixes, " and "), " taken off ",
                                   Counted(renamed, "name")));
  }
  if (!file.counters.empty()) {
    changes.push_back(absl::StrCat(Counted(file.counters.size(), "batch counter"),
                                   " (num_batches_tracked) left out"));
  }
  if (halves > 0)
    changes.push_back(
        absl::StrCat(Counted(halves, "tensor"), " converted from float16 to float32"));
  if (bfloats > 0)
    changes.push_back(
        absl::StrCat(Counted(bfloats, "tensor"), " converted from bfloat16 to float32"));
  return changes.empty() ? "" : absl::StrCat(path, ": ", absl::StrJoin(changes, ", "));
}

std::string OneLine(const ModelSpec& model) {
  google::protobuf::TextFormat::Printer printer;
  printer.SetSingleLineMode(true);
  std::string text;
  printer.PrintToString(model, &text);
  return std::string(absl::StripTrailingAsciiWhitespace(text));
}

}  // namespace

absl::Status SaveArena(const std::string& path, const RunSpec& spec, const ParamLayout& layout,
                       absl::Span<const float> arena) {
  RM_CHECK(static_cast<int64_t>(arena.size()) == layout.count());
  std::vector<NamedTensor> tensors;
  for (const Param& param : layout.params()) {
    tensors.push_back({param.name, param.shape, arena.subspan(param.begin, param.count)});
  }
  return WriteSafetensors(path,
                          {{"format", "ringmaster"},
                           {"format_version", kFormatVersion},
                           {kModelName, spec.model().name()},
                           {kModelSpec, OneLine(spec.model())},
                           {kDataName, spec.data().name()}},
                          tensors);
}

std::string WithoutWrappers(absl::string_view name) {
  std::vector<absl::string_view> parts = absl::StrSplit(name, '.');
  // The last part is the parameter's own name.
  const auto kept = std::remove_if(parts.begin(), parts.end() - 1, [](absl::string_view part) {
    return absl::c_linear_search(kWrappers, part);
  });
  parts.erase(kept, parts.end() - 1);
  return absl::StrJoin(parts, ".");
}

absl::StatusOr<WeightsHeader> ReadWeightsHeader(const std::string& path) {
  RM_ASSIGN_OR_RETURN(const Safetensors file, ReadSafetensorsHeader(path));
  RM_ASSIGN_OR_RETURN(const auto tensors, ByName(path, file));
  WeightsHeader header;
  for (const auto& [name, tensor] : tensors) header.shapes[name] = tensor->shape;
  header.changes = ChangesOf(path, file);
  const auto text_of = [&](const char* key) {
    const auto found = file.metadata.find(key);
    return found == file.metadata.end() ? std::string() : found->second;
  };
  header.model_name = text_of(kModelName);
  header.data_name = text_of(kDataName);
  const std::string spec = text_of(kModelSpec);
  if (spec.empty()) return header;
  ModelSpec model;
  const absl::Status parsed =
      ParseTextproto(spec, absl::StrCat(path, ": __metadata__: ", kModelSpec), &model);
  header.model = parsed.ok() ? absl::StatusOr<ModelSpec>(std::move(model)) : parsed;
  return header;
}

absl::Status LoadArena(const std::string& path, const std::string& model, const ParamLayout& layout,
                       absl::Span<float> arena) {
  RM_CHECK(static_cast<int64_t>(arena.size()) == layout.count());
  std::map<absl::string_view, const Param*> params;
  for (const Param& param : layout.params()) params[param.name] = &param;
  const auto place = [&](LoadedTensor* tensor, int64_t count) {
    const auto param = params.find(WithoutWrappers(tensor->name));
    if (param != params.end() && param->second->shape == tensor->shape)
      return arena.subspan(param->second->begin, count);
    tensor->values.resize(count);
    return absl::MakeSpan(tensor->values);
  };
  RM_ASSIGN_OR_RETURN(const Safetensors file, ReadSafetensorsTo(path, place));
  RM_ASSIGN_OR_RETURN(auto found, ByName(path, file));
  std::vector<std::string> differences;
  for (const Param& param : layout.params()) {
    const auto tensor = found.find(param.name);
    if (tensor == found.end()) {
      differences.push_back(absl::StrCat(param.name, " ", ShapeText(param.shape), " is missing"));
      continue;
    }
    if (tensor->second->shape != param.shape) {
      differences.push_back(absl::StrCat(param.name, " has shape ",
                                         ShapeText(tensor->second->shape), ", expected ",
                                         ShapeText(param.shape)));
    }
    found.erase(tensor);
  }
  for (const auto& [name, tensor] : found) {
    differences.push_back(
        absl::StrCat(Shown(name), " ", ShapeText(tensor->shape), " is not of this model"));
  }
  if (differences.empty()) return absl::OkStatus();
  const size_t more = differences.size() - std::min(differences.size(), kListedDifferences);
  differences.resize(differences.size() - more);
  if (more > 0) differences.push_back(absl::StrCat("and ", more, " more"));
  const auto saved_from = file.metadata.find(kModelName);
  const auto saved_on = file.metadata.find(kDataName);
  const std::string on = saved_on == file.metadata.end()
                             ? ""
                             : absl::StrCat(" on data \"", Shown(saved_on->second), "\"");
  return absl::InvalidArgumentError(absl::StrCat(
      path, " does not fit model \"", model, "\"",
      saved_from == file.metadata.end()
          ? ""
          : absl::StrCat(" (it was saved from \"", Shown(saved_from->second), "\"", on, ")"),
      ": ", absl::StrJoin(differences, "; "),
      "; choose the model, sizes and data that the file was saved with"));
}

}  // namespace ringmaster
