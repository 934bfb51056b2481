#include "common/config/load.h"

#include <filesystem>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/base/status_macros.h"
#include "common/config/textproto.h"

namespace ringmaster {

absl::StatusOr<RunSpec> ParseRunSpec(absl::string_view text, absl::string_view source) {
  RunSpec spec;
  RM_RETURN_IF_ERROR(ParseTextproto(text, source, &spec));
  return spec;
}

absl::StatusOr<RunSpec> LoadRunSpec(const std::string& path) {
  RunSpec spec;
  RM_RETURN_IF_ERROR(LoadTextproto(path, "run spec", &spec));
  return spec;
}

absl::Status CheckOutputsWithin(const RunSpec& spec, const std::string& folder) {
  const std::pair<const char*, const std::string*> paths[] = {
      {"save-weights", &spec.output().save_weights()},
      {"dump-batches", &spec.output().dump_batches()},
      {"dump-gradients", &spec.output().dump_gradients()},
      {"checkpoints", &spec.output().checkpoints()}};
  const auto whole = [](const std::string& path) {
    return std::filesystem::absolute(path).lexically_normal();
  };
  for (const auto& [flag, path] : paths) {
    if (path->empty()) continue;
    const std::string within = whole(*path).lexically_relative(whole(folder + "/")).string();
    if (!within.empty() && within != "." && within != ".." && !absl::StartsWith(within, "../"))
      continue;
    return absl::InvalidArgumentError(
        absl::StrCat("output.", absl::StrReplaceAll(flag, {{"-", "_"}}), " = \"", *path,
                     "\": a spec from a file writes into the output folder (", folder,
                     ") alone; give another one by --out, or the path by --", flag));
  }
  return absl::OkStatus();
}

std::string SerializeRunSpec(const RunSpec& spec) { return ToTextproto(spec); }

}  // namespace ringmaster
