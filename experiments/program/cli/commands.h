#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_CLI_COMMANDS_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_CLI_COMMANDS_H_

#include <CLI/CLI.hpp>
#include <functional>

namespace ringmaster {

// Exit codes of the program.
enum ExitCode : int {
  kExitOk = 0,
  kExitFailedRun = 1,
  kExitUserError = 2,
  kExitInterrupted = 130,
};

// Each declares a subcommand with its flags and help on `app`; when the command line names it,
// `*action` is set to what then does the work and returns the exit code.
using Action = std::function<int()>;
void DeclareCompare(CLI::App* app, Action* action);
void DeclareRun(CLI::App* app, Action* action);
void DeclareEvaluate(CLI::App* app, Action* action);
void DeclareNode(CLI::App* app, Action* action);
void DeclareDoctor(CLI::App* app, Action* action);
void DeclareList(CLI::App* app, Action* action);
void DeclareVerify(CLI::App* app, Action* action);
void DeclareSweep(CLI::App* app, Action* action);
void DeclareBench(CLI::App* app, Action* action);
void DeclareExplain(CLI::App* app, Action* action);
void DeclareTrace(CLI::App* app, Action* action);
void DeclareReport(CLI::App* app, Action* action);
void DeclarePlot(CLI::App* app, Action* action);
void DeclarePredict(CLI::App* app, Action* action);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_CLI_COMMANDS_H_
