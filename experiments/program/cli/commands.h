#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_CLI_COMMANDS_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_CLI_COMMANDS_H_

#include <functional>
#include <utility>

#include "experiments/program/cli/parser/parser.h"

namespace ringmaster {

// Exit codes of the program.
enum ExitCode : int {
  kExitOk = 0,
  kExitFailedRun = 1,
  kExitUserError = 2,
  kExitNotQuotable = 3,  // all runs are done, but the machine changed by more than --gate allows
  kExitInterrupted = 130,
};

// What a command does; both functions return the exit code.
struct Action {
  using Function = std::function<int()>;

  Action() = default;
  template <typename F>
  Action(F work) : run(std::move(work)) {}  // NOLINT: what works is an action
  Action(Function work, Function dry) : run(std::move(work)), plan(std::move(dry)) {}

  Function run;
  // For --plan: reads and checks all that `run` does before it starts or writes anything, and shows
  // it. Null: what the command line says is all that can be checked.
  Function plan;
};

// Each declares a subcommand with its flags and help on `program`; when the command line names it,
// `*action` is set to what then does the work.
void DeclareCompare(Command program, Action* action);
void DeclareRun(Command program, Action* action);
void DeclareEvaluate(Command program, Action* action);
void DeclareNode(Command program, Action* action);
void DeclareDoctor(Command program, Action* action);
void DeclareList(Command program, Action* action);
void DeclareVerify(Command program, Action* action);
void DeclareSweep(Command program, Action* action);
void DeclareBench(Command program, Action* action);
void DeclareCodec(Command program, Action* action);
void DeclareExplain(Command program, Action* action);
void DeclareTrace(Command program, Action* action);
void DeclareReport(Command program, Action* action);
void DeclareKeygen(Command program, Action* action);
void DeclareStore(Command program, Action* action);
void DeclareMerge(Command program, Action* action);
void DeclarePlot(Command program, Action* action);
void DeclarePredict(Command program, Action* action);
void DeclareSimulate(Command program, Action* action);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_CLI_COMMANDS_H_
