#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_CLI_COMMAND_LINE_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_CLI_COMMAND_LINE_H_

#include <string>
#include <vector>

#include "experiments/program/cli/parser/parser.h"

namespace ringmaster {

// What is wrong with a command line that `program` has refused, in one line. A flag or a command
// that there is not comes before all else, with the nearest that there is: what the parser makes of
// the rest follows from it. `arguments`: those of the program, without its name. REQUIRES:
// parsed.kind is Parsed::kRefused.
std::string CommandLineProblem(const Command& program, const std::vector<std::string>& arguments,
                               const Parsed& parsed);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_CLI_COMMAND_LINE_H_
