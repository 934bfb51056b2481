#include "common/checkpoint/checkpoint_folder.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <optional>
#include <system_error>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/base/system_error.h"
#include "common/checkpoint/checkpoint.h"

namespace ringmaster {
namespace {

namespace fs = std::filesystem;

constexpr absl::string_view kStepPrefix = "step-";

// The step that a folder's name says.
std::optional<int64_t> StepOf(const fs::path& folder) {
  const std::string name = folder.filename().string();
  int64_t step = 0;
  if (!absl::StartsWith(name, kStepPrefix)) return std::nullopt;
  if (!absl::SimpleAtoi(absl::string_view(name).substr(kStepPrefix.size()), &step) || step <= 0)
    return std::nullopt;
  return step;
}

absl::Status CheckHeader(const CheckpointHeader& header, const CheckpointHeader& expected,
                         const CheckpointOwner& owner) {
  if (header.run != expected.run) {
    return absl::FailedPreconditionError(
        absl::StrCat("it is of another run", owner.difference ? ": " : "",
                     owner.difference ? owner.difference(header.run) : ""));
  }
  if (header.node != expected.node || header.step != expected.step ||
      header.nodes != expected.nodes) {
    return absl::FailedPreconditionError(absl::StrCat(
        "it is of ", header.node, " of ", header.nodes, " nodes at step ", header.step,
        ", expected ", expected.node, " of ", expected.nodes, " at step ", expected.step));
  }
  return absl::OkStatus();
}

// Whether the run can go on from the checkpoint of `step`.
absl::Status CheckWhole(const std::string& folder, int64_t step, const CheckpointOwner& owner) {
  std::optional<uint64_t> writer;
  for (const std::string& node : owner.nodes) {
    const std::string path = CheckpointFile(folder, step, node);
    RM_ASSIGN_OR_RETURN(const Checkpoint checkpoint, ReadCheckpoint(path));
    CheckpointHeader expected;
    expected.run = owner.run;
    expected.node = node;
    expected.nodes = static_cast<int32_t>(owner.nodes.size());
    expected.step = step;
    RM_RETURN_IF_ERROR(Annotate(CheckHeader(checkpoint.header, expected, owner),
                                absl::StrCat("checkpoint ", path)));
    if (!writer.has_value()) writer = checkpoint.header.writer;
    if (*writer != checkpoint.header.writer) {
      return absl::FailedPreconditionError(absl::StrCat(
          "checkpoint ", path, ": it was written by another run than that of ", owner.nodes[0]));
    }
  }
  return absl::OkStatus();
}

bool HasAllFiles(const std::string& folder, int64_t step, absl::Span<const std::string> nodes) {
  return std::all_of(nodes.begin(), nodes.end(), [&](const std::string& node) {
    std::error_code error;
    return fs::is_regular_file(CheckpointFile(folder, step, node), error);
  });
}

}  // namespace

std::string CheckpointStepFolder(const std::string& folder, int64_t step) {
  return absl::StrFormat("%s/%s%09d", folder, kStepPrefix, step);
}

std::string CheckpointFile(const std::string& folder, int64_t step, const std::string& node) {
  return absl::StrCat(CheckpointStepFolder(folder, step), "/",
                      absl::StrReplaceAll(node, {{"/", "-"}}), ".rmck");
}

std::vector<int64_t> CheckpointSteps(const std::string& folder) {
  std::vector<int64_t> steps;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code unknown;
    const std::optional<int64_t> step = StepOf(entry->path());
    if (step.has_value() && entry->is_directory(unknown)) steps.push_back(*step);
  }
  std::sort(steps.begin(), steps.end(), std::greater<>());
  return steps;
}

NewestCheckpoint FindNewestCheckpoint(const std::string& folder, const CheckpointOwner& owner) {
  NewestCheckpoint newest;
  for (const int64_t step : CheckpointSteps(folder)) {
    const absl::Status usable = CheckWhole(folder, step, owner);
    if (usable.ok()) {
      newest.step = step;
      return newest;
    }
    newest.refused.emplace_back(usable.message());
  }
  return newest;
}

void PruneCheckpoints(const std::string& folder, absl::Span<const std::string> nodes,
                      int64_t kept) {
  RM_CHECK(kept > 0);
  int64_t whole = 0;
  for (const int64_t step : CheckpointSteps(folder)) {
    if (whole == kept) {
      std::error_code error;
      fs::remove_all(CheckpointStepFolder(folder, step), error);
      continue;
    }
    if (HasAllFiles(folder, step, nodes)) ++whole;
  }
}

absl::Status RemoveCheckpointsAfter(const std::string& folder, int64_t step) {
  for (const int64_t later : CheckpointSteps(folder)) {
    if (later <= step) break;
    const std::string path = CheckpointStepFolder(folder, later);
    std::error_code error;
    fs::remove_all(path, error);
    if (error) return SystemError(error.value(), absl::StrCat("cannot remove ", path));
  }
  return absl::OkStatus();
}

}  // namespace ringmaster
