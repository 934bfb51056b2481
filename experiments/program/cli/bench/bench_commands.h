#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_CLI_BENCH_BENCH_COMMANDS_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_CLI_BENCH_BENCH_COMMANDS_H_

#include "experiments/program/cli/commands.h"

namespace ringmaster {

// Each declares a benchmark on `bench`, as the commands of commands.h are declared on the program.
void DeclareAllReduceBench(Command bench, Action* action);
void DeclarePushPullBench(Command bench, Action* action);
void DeclareStepBench(Command bench, Action* action);
void DeclareGemmBench(Command bench, Action* action);
void DeclareKernelsBench(Command bench, Action* action);
void DeclareCodecBench(Command bench, Action* action);
void DeclareStartBench(Command bench, Action* action);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_CLI_BENCH_BENCH_COMMANDS_H_
