#include "experiments/program/cli/bench/bench_commands.h"
#include "experiments/program/cli/commands.h"

namespace ringmaster {
namespace {

constexpr char kBenchFooter[] =
    "`ringmaster bench BENCHMARK --help` explains what is measured and how.";

}  // namespace

void DeclareBench(Command program, Action* action) {
  Command command = program.AddCommand("bench", "how fast the parts are on this machine");
  command.SetFooter(kBenchFooter);
  command.RequireCommand("a benchmark");
  DeclareAllReduceBench(command, action);
  DeclarePushPullBench(command, action);
  DeclareStepBench(command, action);
  DeclareGemmBench(command, action);
  DeclareKernelsBench(command, action);
  DeclareCodecBench(command, action);
  DeclareStartBench(command, action);
}

}  // namespace ringmaster
