#include "experiments/program/cli/bench_commands.h"
#include "experiments/program/cli/commands.h"

namespace ringmaster {
namespace {

constexpr char kBenchFooter[] =
    "`ringmaster bench BENCHMARK --help` explains what is measured and how.";

}  // namespace

void DeclareBench(CLI::App* app, Action* action) {
  CLI::App* command = app->add_subcommand("bench", "how fast the parts are on this machine");
  command->footer(kBenchFooter);
  // Not require_subcommand: a word that is no benchmark is to be named.
  command->callback([command] {
    if (command->get_subcommands().empty()) throw CLI::RequiredError("a benchmark");
  });
  DeclareAllReduceBench(command, action);
  DeclarePushPullBench(command, action);
  DeclareStepBench(command, action);
  DeclareGemmBench(command, action);
  DeclareKernelsBench(command, action);
  DeclareCodecBench(command, action);
  DeclareStartBench(command, action);
}

}  // namespace ringmaster
