// The program `ringmaster`: its subcommands are declared in commands.h, a file each.

#include <errno.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/system_error.h"
#include "common/build_stamp/build_stamp.h"
#include "common/log/log.h"
#include "common/machine/address_space.h"
#include "common/machine/process_name.h"
#include "experiments/program/cli/command_line.h"
#include "experiments/program/cli/commands.h"
#include "experiments/program/cli/parser/parser.h"
#include "experiments/program/cli/process_setup.h"
#include "experiments/program/cli/signals.h"
#include "experiments/program/run/descriptors.h"

namespace {

constexpr char kDescription[] =
    "Trains the same model under a parameter server, a ring all-reduce and asynchronous compressed "
    "exchange,\n"
    "and shows what each costs in time, bytes and accuracy.";

constexpr char kExamples[] =
    "Examples:\n"
    "  ringmaster compare                               every basic scheme on MNIST, two workers, "
    "one table\n"
    "  ringmaster compare --arms single,solo,ps,ring --epochs 1\n"
    "  ringmaster compare --workers 4 --transport tcp --out four-workers\n"
    "  ringmaster run my.textproto --set optimizer.learning_rate=0.02\n"
    "  ringmaster sweep my_sweep.textproto              every combination of some settings, "
    "resumed if stopped\n"
    "  ringmaster merge all shard-1 shard-2             the runs of several folders as one "
    "store\n"
    "  ringmaster report ringmaster-out -o report.html  charts and tables of all stored runs, one "
    "page\n"
    "  ringmaster plot scaling -o scaling.svg           one of the charts as a figure\n"
    "  ringmaster evaluate --weights W.safetensors      loss and accuracy of saved weights on the "
    "test set\n"
    "  ringmaster verify                                proofs that the comparison is fair, in "
    "about a minute\n"
    "  ringmaster bench allreduce                       how fast gradients are summed on this "
    "machine\n"
    "  ringmaster explain ring --workers 4              who sends what to whom, round by round\n"
    "  ringmaster codec int8 --in g.npy                 what a codec makes of an array\n"
    "  ringmaster trace ring                            some steps of the newest ring run, for a "
    "trace viewer\n"
    "  ringmaster predict --arms ps,ring                what a step will take, beside what it does "
    "take\n"
    "  ringmaster list                                  arms, strategies, codecs, collectives, "
    "transports, models\n"
    "  ringmaster doctor                                what this machine has, and what it lacks\n"
    "\n"
    "Exit codes: 0 done, 1 a run failed, 2 a mistake in the command or its files, 130 interrupted "
    "(Ctrl-C),\n"
    "143 ended by SIGTERM, 129 by SIGHUP. Ctrl-Z stops a run with all its ranks, and `fg` has it "
    "go on.\n"
    "`ringmaster COMMAND --help` explains a command's flags.";

// The stream remembers that a write failed, not why, and by now others have set errno: what one
// more byte fails for.
std::string WhyStandardOutputFails() {
  const ssize_t wrote = write(STDOUT_FILENO, "\n", 1);
  return wrote == 1 ? "some of it is missing" : ringmaster::ErrorText(errno);
}

int Plan(const ringmaster::Action& action) {
  if (action.plan) return action.plan();
  std::puts("the command line is right; nothing else can be checked before this command works");
  return ringmaster::kExitOk;
}

}  // namespace

int main(int argc, char** argv) {
  // Ranks are started as /proc/self/exe.
  prctl(PR_SET_NAME, "ringmaster");
  ringmaster::LendArguments(argc, argv);
  ringmaster::ExplainLackOfMemory(ringmaster::kExitFailedRun);
  ringmaster::SetUpMemoryAndLocks();
  ringmaster::Program program("ringmaster", kDescription,
                              [] { return "ringmaster " + ringmaster::GetBuildStamp().commit(); });
  ringmaster::Command command = program.command();
  command.SetFooter(kExamples);
  bool verbose = false;
  bool plan = false;
  command.AddFlag("-v,--verbose", &verbose, "log more, to standard error");
  command.AddFlag("--plan", &plan,
                  "check the command and show what it would run, without starting or writing "
                  "anything");
  ringmaster::Action action;
  ringmaster::DeclareCompare(command, &action);
  ringmaster::DeclareRun(command, &action);
  ringmaster::DeclareSweep(command, &action);
  ringmaster::DeclareReport(command, &action);
  ringmaster::DeclareKeygen(command, &action);
  ringmaster::DeclareStore(command, &action);
  ringmaster::DeclareMerge(command, &action);
  ringmaster::DeclarePlot(command, &action);
  ringmaster::DeclareEvaluate(command, &action);
  ringmaster::DeclareVerify(command, &action);
  ringmaster::DeclareBench(command, &action);
  ringmaster::DeclareCodec(command, &action);
  ringmaster::DeclareExplain(command, &action);
  ringmaster::DeclareTrace(command, &action);
  ringmaster::DeclarePredict(command, &action);
  ringmaster::DeclareSimulate(command, &action);
  ringmaster::DeclareNode(command, &action);
  ringmaster::DeclareList(command, &action);
  ringmaster::DeclareDoctor(command, &action);
  const ringmaster::Parsed parsed = program.Parse(argc, argv);
  if (parsed.kind == ringmaster::Parsed::kAnswered) return ringmaster::kExitOk;
  if (parsed.kind == ringmaster::Parsed::kRefused) {
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    std::fprintf(stderr, "error: %s\n",
                 ringmaster::CommandLineProblem(command, arguments, parsed).c_str());
    return ringmaster::kExitUserError;
  }
  ringmaster::StartLogging(verbose ? ringmaster::LogLevel::kDebug : ringmaster::LogLevel::kInfo);
  ringmaster::HandleSignals();
  ringmaster::RaiseDescriptorLimit();
  int code = plan ? Plan(action) : action.run();
  if (ringmaster::EndSignal() != 0 && code != ringmaster::kExitOk)
    code = 128 + ringmaster::EndSignal();
  // A table that nobody could read is no success; the records are safe.
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return code;
  ringmaster::Log(ringmaster::LogLevel::kError,
                  absl::StrCat("cannot write to standard output: ", WhyStandardOutputFails()));
  return code == ringmaster::kExitOk ? ringmaster::kExitFailedRun : code;
}
