#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_CLI_COMMAND_LINE_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_CLI_COMMAND_LINE_H_

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace ringmaster {

// What is wrong with a command line that `app` has refused with `error`, in one line. A flag or a
// command that there is not comes before all else, with the nearest that there is: what the parser
// makes of the rest follows from it. `arguments`: those of the program, without its name.
std::string CommandLineProblem(const CLI::App& app, const std::vector<std::string>& arguments,
                               const CLI::ParseError& error);

// Refuses a value that is not one of `names`, with the nearest; --help shows them.
CLI::Validator OneOf(const std::vector<std::string>& names);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_CLI_COMMAND_LINE_H_
