#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_PROGRAMS_PROGRAM_CHILD_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_PROGRAMS_PROGRAM_CHILD_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "experiments/program/run/children.h"

namespace ringmaster {

// The words of a command as a shell would have them: at blanks, but for what stands in single or
// double quotes or behind a backslash. Nothing is expanded. InvalidArgument: no words, or an open
// quote. Pure.
absl::StatusOr<std::vector<std::string>> CommandWords(absl::string_view command);

// The command of a program of the user's as a child: `session` is what its session will read
// (TakeSessionWords of launcher_environment.h). It finds our library and package by itself, and
// computes with one thread unless the user's environment says otherwise. NotFound: no such program
// on the PATH, by name.
absl::StatusOr<ChildProgram> ProgramChild(const std::vector<std::string>& command,
                                          const std::vector<std::string>& session);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_PROGRAMS_PROGRAM_CHILD_H_
