#include "experiments/program/cli/outputs.h"

#include <filesystem>
#include <set>
#include <string>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/base/status_macros.h"
#include "common/formats/atomic_file.h"
#include "common/log/log.h"

namespace ringmaster {
namespace {

constexpr char kArm[] = "{arm}";

struct Output {
  const char* flag;
  bool folder;
  bool costs_time;  // in timed steps
  std::string* path;
};

std::vector<Output> OutputsOf(RunSpec* spec) {
  OutputSpec* output = spec->mutable_output();
  return {{"--save-weights", false, false, output->mutable_save_weights()},
          {"--dump-batches", true, true, output->mutable_dump_batches()},
          {"--dump-gradients", true, true, output->mutable_dump_gradients()},
          {"--checkpoints", true, false, output->mutable_checkpoints()}};
}

absl::Status Prepare(const Output& output) {
  if (!output.folder) return CheckFileCanBeWritten(*output.path);
  std::error_code error;
  std::filesystem::create_directories(*output.path, error);
  if (error) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot make the folder ", *output.path, ": ", error.message()));
  }
  return CheckFolderCanBeWritten(*output.path);
}

}  // namespace

absl::Status NameOutputs(std::vector<RunSpec>* specs) {
  std::set<std::string> taken;
  for (RunSpec& spec : *specs) {
    if (!spec.has_output()) continue;
    for (const Output& output : OutputsOf(&spec)) {
      if (output.path->empty()) continue;
      const std::string given = absl::StrCat(output.flag, " ", *output.path);
      *output.path = absl::StrReplaceAll(*output.path, {{kArm, spec.name()}});
      if (!taken.insert(absl::StrCat(output.flag, *output.path)).second) {
        return absl::InvalidArgumentError(absl::StrCat(
            given, ": arms would write over each other at ", *output.path, "; put ", kArm,
            " into the path, which stands for the arm's name, "
            "and name each arm once"));
      }
    }
  }
  return absl::OkStatus();
}

absl::Status PrepareOutputs(std::vector<RunSpec>* specs) {
  RM_RETURN_IF_ERROR(NameOutputs(specs));
  bool dumps = false;
  for (RunSpec& spec : *specs) {
    if (!spec.has_output()) continue;
    for (const Output& output : OutputsOf(&spec)) {
      if (output.path->empty()) continue;
      RM_RETURN_IF_ERROR(Annotate(Prepare(output), output.flag));
      dumps = dumps || output.costs_time;
    }
  }
  if (dumps) {
    Log(LogLevel::kWarning,
        "batches or gradients are dumped while steps are timed: take no figure of speed from this "
        "run");
  }
  return absl::OkStatus();
}

}  // namespace ringmaster
