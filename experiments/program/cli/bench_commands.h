#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_CLI_BENCH_COMMANDS_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_CLI_BENCH_COMMANDS_H_

#include "experiments/program/cli/commands.h"

namespace ringmaster {

// Each declares a benchmark on `bench`, as the commands of commands.h are declared on the program.
void DeclareAllReduceBench(CLI::App* bench, Action* action);
void DeclarePushPullBench(CLI::App* bench, Action* action);
void DeclareStepBench(CLI::App* bench, Action* action);
void DeclareGemmBench(CLI::App* bench, Action* action);
void DeclareKernelsBench(CLI::App* bench, Action* action);
void DeclareCodecBench(CLI::App* bench, Action* action);
void DeclareStartBench(CLI::App* bench, Action* action);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_CLI_BENCH_COMMANDS_H_
