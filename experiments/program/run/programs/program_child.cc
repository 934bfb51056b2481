#include "experiments/program/run/programs/program_child.h"

#include <limits.h>
#include <unistd.h>

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "common/machine/own_program.h"
#include "experiments/program/run/launcher_environment.h"

namespace ringmaster {
namespace {

absl::StatusOr<std::string> FindOnPath(const std::string& name) {
  if (name.find('/') != std::string::npos) {
    if (access(name.c_str(), X_OK) == 0) return name;
    return absl::NotFoundError(
        absl::StrCat("--program: cannot start ", name, ": there is no such program"));
  }
  const std::string search_path = ReadEnvironment().search_path;
  const std::string path = FindProgram(name, search_path);
  if (!path.empty()) return path;
  return absl::NotFoundError(absl::StrCat("--program: cannot start ", name,
                                          ": there is no such program on the PATH (", search_path,
                                          ")"));
}

// The first of these places, relative to this program's folder, where something is.
std::string FindBeside(const std::vector<std::string>& places) {
  std::string folder = OwnProgramPath();
  if (folder.empty()) return "";
  folder.resize(folder.rfind('/'));
  for (const std::string& place : places) {
    const std::string found = place.front() == '/' ? place : absl::StrCat(folder, "/", place);
    if (access(found.c_str(), R_OK) == 0) return found;
  }
  return "";
}

std::string WorkingFolder() {
  char path[PATH_MAX];
  return getcwd(path, sizeof(path)) == nullptr ? "" : path;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> CommandWords(absl::string_view command) {
  std::vector<std::string> words;
  bool in_word = false;
  char quote = 0;
  for (size_t i = 0; i < command.size(); ++i) {
    const char c = command[i];
    const bool blank = c == ' ' || c == '\t' || c == '\n';
    if (quote == 0 && blank) {
      in_word = false;
      continue;
    }
    if (!in_word) words.emplace_back();
    in_word = true;
    if (quote == 0 && (c == '\'' || c == '"')) {
      quote = c;
    } else if (quote != 0 && c == quote) {
      quote = 0;
    } else if (c == '\\' && quote != '\'' && i + 1 < command.size()) {
      words.back().push_back(command[++i]);
    } else {
      words.back().push_back(c);
    }
  }
  if (quote != 0) {
    return absl::InvalidArgumentError(absl::StrCat("'", command, "': a quote is not closed"));
  }
  if (words.empty()) {
    return absl::InvalidArgumentError(
        "'': expected a command, as in --program 'python3 train.py --width 64'");
  }
  return words;
}

absl::StatusOr<ChildProgram> ProgramChild(const std::vector<std::string>& command,
                                          const std::vector<std::string>& session) {
  ChildProgram program;
  RM_ASSIGN_OR_RETURN(program.path, FindOnPath(command.front()));
  program.name = command.front();
  program.arguments.assign(command.begin() + 1, command.end());
  // A bundle has them beside bin/, a build where Bazel puts them.
  ProgramPlaces places;
  places.library = FindBeside({"libringmaster.so", "program/session/libringmaster.so"});
  // Of a bundle; of the checkout that one works in, or that Bazel has built this program from.
  places.python_folder = FindBeside(
      {"../python", WorkingFolder() + "/experiments/python", "../../../../experiments/python"});
  program.environment = ProgramSettings(places);
  program.environment.push_back(absl::StrCat(kSessionVariable, "=", absl::StrJoin(session, "\n")));
  return program;
}

}  // namespace ringmaster
