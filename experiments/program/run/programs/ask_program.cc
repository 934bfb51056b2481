#include "experiments/program/run/programs/ask_program.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "common/base/fingerprint.h"
#include "common/base/monotonic.h"
#include "common/base/status_macros.h"
#include "common/formats/weights.h"
#include "experiments/program/run/attempts/memory_file.h"
#include "experiments/program/run/children.h"
#include "experiments/program/run/launcher_environment.h"
#include "experiments/program/run/programs/program_child.h"
#include "worker/model/program_model.h"

namespace ringmaster {
namespace {

constexpr absl::Duration kPoll = absl::Milliseconds(10);

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::string CommandText(const std::vector<std::string>& command) {
  return absl::StrCat("--program '", absl::StrJoin(command, " "), "'");
}

absl::Duration LimitOf(const RunSpec& spec) {
  return spec.limits().has_join_seconds() ? absl::Seconds(spec.limits().join_seconds()) : kAskLimit;
}

}  // namespace

absl::StatusOr<ProgramDescription> AskProgram(const std::vector<std::string>& command,
                                              absl::Duration limit) {
  const MemoryFile answer("");
  RM_RETURN_IF_ERROR(answer.status());
  RM_ASSIGN_OR_RETURN(const ChildProgram program,
                      ProgramChild(command, {kDescribeWord, answer.path()}));
  Children children;
  RM_RETURN_IF_ERROR(children.Start(program));
  const MonotonicTime deadline = MonotonicNow() + limit;
  std::string how;
  while (how.empty() && MonotonicNow() < deadline) {
    for (const auto& [index, end] : children.Reap()) how = end;
    if (how.empty()) absl::SleepFor(kPoll);
  }
  if (how.empty()) {
    return absl::DeadlineExceededError(absl::StrCat(
        CommandText(command), ": did not open its session within ", absl::FormatDuration(limit),
        " and was ended; open it before anything that takes long, or set limits.join_seconds"));
  }
  const std::string bytes = ReadFile(answer.path());
  if (bytes.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(CommandText(command), ": ended with ", how,
                     " without opening a session (docs/OWN_MODEL.md); what it said stands above"));
  }
  absl::StatusOr<ProgramDescription> described = ParseDescription(bytes);
  if (!described.ok()) return Annotate(described.status(), CommandText(command));
  return described;
}

absl::Status CompleteProgram(const std::string& out, RunSpec* spec) {
  ProgramModelSpec& model = *spec->mutable_model()->mutable_program();
  const std::vector<std::string> command(model.command().begin(), model.command().end());
  const bool is_whole = !model.tensors().empty() && spec->data().has_program() &&
                        !spec->training().init_weights().empty();
  if (is_whole) return absl::OkStatus();
  RM_ASSIGN_OR_RETURN(const ProgramDescription described, AskProgram(command, LimitOf(*spec)));
  if (model.tensors().empty()) *model.mutable_tensors() = described.model.tensors();
  if (!spec->data().has_program()) *spec->mutable_data()->mutable_program() = described.data;
  spec->mutable_model()->set_name(kProgramModel);
  spec->mutable_data()->set_name(kProgramModel);
  RM_RETURN_IF_ERROR(Annotate(CheckDescription(described, *spec), CommandText(command)));
  if (!spec->training().init_weights().empty()) return absl::OkStatus();
  if (described.weights.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(CommandText(command),
                     ": it gave its tensors no initial values; give them, or --init-weights FILE"));
  }
  return KeepProgramWeights(out, described.weights, spec);
}

absl::Status KeepProgramWeights(const std::string& out, absl::Span<const float> weights,
                                RunSpec* spec) {
  ModelOptions options;
  options.bucket_bytes = sizeof(float);
  const ParamLayout layout = ProgramLayout(spec->model().program(), options);
  if (layout.count() != static_cast<int64_t>(weights.size())) {
    return absl::InvalidArgumentError(absl::StrCat("the program's tensors have ", layout.count(),
                                                   " elements, and it gave ", weights.size(),
                                                   " initial values"));
  }
  const std::string folder = absl::StrCat(out, "/programs");
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  const std::string path =
      absl::StrCat(folder, "/", Sha256Hex(weights).substr(0, 16), ".safetensors");
  spec->mutable_training()->set_init_weights(path);
  if (std::filesystem::exists(path, error)) return absl::OkStatus();
  return SaveArena(path, *spec, layout, weights);
}

}  // namespace ringmaster
