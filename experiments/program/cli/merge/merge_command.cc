#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/log/log.h"
#include "experiments/program/cli/commands.h"
#include "experiments/program/store/merge_stores.h"

namespace ringmaster {
namespace {

constexpr char kMergeFooter[] =
    "OUT gets the runs of all the folders, and keeps its own. A run that several of them have is "
    "one run. The folders stay\n"
    "as they are. Merged again, nothing changes. Runs by which cells of a sweep were tuned (the "
    "folder tuning below each)\n"
    "are merged too; other files of a folder (weights, checkpoints) are not.";

struct MergeFlags {
  std::string out;
  std::vector<std::string> folders;
};

// A store that is merged: the folders' own, and below them that of tuning.
struct Level {
  std::string out;
  std::vector<std::string> folders;
};

std::vector<Level> LevelsOf(const MergeFlags& flags) {
  std::vector<Level> levels = {{flags.out, flags.folders}};
  Level tuning{flags.out + "/tuning", {}};
  for (const std::string& folder : flags.folders) {
    std::error_code error;
    if (std::filesystem::is_directory(folder + "/tuning", error))
      tuning.folders.push_back(folder + "/tuning");
  }
  if (!tuning.folders.empty()) levels.push_back(std::move(tuning));
  return levels;
}

int Fail(const absl::Status& status) {
  Log(LogLevel::kError, status.message());
  const bool is_mistake = absl::IsInvalidArgument(status) || absl::IsNotFound(status);
  return is_mistake ? kExitUserError : kExitFailedRun;
}

int Merge(const MergeFlags& flags, bool writes) {
  std::vector<StoreMerge> merges;
  // All are read before one is written.
  for (const Level& level : LevelsOf(flags)) {
    absl::StatusOr<StoreMerge> merge = StoreMerge::Read(level.out, level.folders);
    if (!merge.ok()) return Fail(merge.status());
    for (const std::string& problem : merge->problems()) Log(LogLevel::kWarning, problem);
    merges.push_back(*std::move(merge));
  }
  for (const StoreMerge& merge : merges) {
    if (writes) {
      if (const absl::Status written = merge.Write(); !written.ok()) return Fail(written);
    }
    std::printf("%s%s: %zu runs, %zu of them new\n", writes ? "" : "would make ",
                merge.out().c_str(), merge.runs(), merge.added());
  }
  return kExitOk;
}

}  // namespace

void DeclareMerge(Command program, Action* action) {
  Command command = program.AddCommand("merge", "put the runs of several folders into one");
  command.SetFooter(kMergeFooter);
  auto flags = std::make_shared<MergeFlags>();
  command.AddOption("OUT", &flags->out, "folder to make, or to add to").Required();
  command.AddOption("FOLDER", &flags->folders, "folders of results.jsonl").Required();
  command.OnChosen([action, flags] {
    *action = {[flags] { return Merge(*flags, true); }, [flags] { return Merge(*flags, false); }};
  });
}

}  // namespace ringmaster
