#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "common/base/monotonic.h"
#include "common/config/resolve.h"
#include "common/formats/json.h"
#include "common/log/log.h"
#include "experiments/program/cli/commands.h"
#include "experiments/program/cli/signals.h"
#include "experiments/program/cli/terminal.h"
#include "experiments/program/run/launcher_environment.h"
#include "experiments/program/run/resolve_spec.h"
#include "experiments/program/run/run_arm.h"
#include "experiments/proof/verify/verify.h"
#include "experiments/study/results/schema_version.h"
#include "proto/run_record.pb.h"

namespace ringmaster {
namespace {

constexpr char kVerifyFooter[] =
    "Makes real runs on this machine, small ones but for lenet on MNIST at two workers, and judges "
    "their records:\n"
    "equal final weights whatever the scheme, equal batches and starts, bytes as the formulae say, "
    "the consistency of\n"
    "the server, the bounds of the codecs. Takes about a minute on two cores. Exit code 0: every "
    "check passed, 1: one "
    "did\n"
    "not. Without MNIST the two-worker runs train on synthetic samples, and the last line says so.";

struct VerifyFlags {
  std::string data_dir;
  std::string kernels = "cpu";
  uint64_t seed = 1;
  bool json = false;
};

// `text` on lines of at most `width` columns, each but the first after `indent` spaces.
std::string Wrap(const std::string& text, size_t indent, size_t width) {
  const size_t room = std::max<size_t>(20, width > indent ? width - indent : 0);
  std::string wrapped;
  size_t column = 0;
  for (const absl::string_view word : absl::StrSplit(text, ' ')) {
    if (column > 0 && column + 1 + word.size() > room) {
      absl::StrAppend(&wrapped, "\n", std::string(indent, ' '));
      column = 0;
    }
    absl::StrAppend(&wrapped, column > 0 ? " " : "", word);
    column += word.size() + (column > 0 ? 1 : 0);
  }
  return wrapped;
}

// Each claim, and below it what was found.
void PrintTable(const VerifyOutcome& outcome, double seconds) {
  constexpr size_t kIndent = 19;
  const size_t width = TerminalWidth();
  for (const CheckResult& check : outcome.checks) {
    std::printf("%s  %-11s  %s\n%s%s\n", check.passed ? "pass" : "FAIL", check.topic.c_str(),
                Wrap(check.what, kIndent, width).c_str(), std::string(kIndent, ' ').c_str(),
                Wrap(check.figure, kIndent, width).c_str());
  }
  const auto failed = std::count_if(outcome.checks.begin(), outcome.checks.end(),
                                    [](const CheckResult& check) { return !check.passed; });
  std::printf("\n%zu checks, %d failed; %d runs in %s, data: %s\n", outcome.checks.size(),
              static_cast<int>(failed), outcome.runs, FormatSeconds(seconds).c_str(),
              outcome.data.c_str());
}

void PrintJson(const VerifyOutcome& outcome, double seconds) {
  Json object;
  object["passed"] = outcome.passed();
  object["data"] = outcome.data;
  object["real_data"] = outcome.real_data;
  object["runs"] = outcome.runs;
  object["seconds"] = seconds;
  object["checks"] = Json::Array();
  for (const CheckResult& check : outcome.checks) {
    object["checks"].push_back({{"topic", check.topic},
                                {"what", check.what},
                                {"passed", check.passed},
                                {"figure", check.figure},
                                {"seconds", check.seconds}});
  }
  object[kSchemaVersionKey] = kSchemaVersion;
  std::printf("%s\n", object.Dump().c_str());
}

int RunVerify(const VerifyFlags& flags) {
  const MonotonicTime begin = MonotonicNow();
  int runs = 0;
  VerifyOptions options;
  options.data_dir = flags.data_dir.empty()
                         ? ResolveData({}, ReadEnvironment().default_data_dir).dir()
                         : flags.data_dir;
  DataSpec asked;
  asked.set_dir(flags.data_dir);
  options.fetch_advice = FetchAdvice(asked);
  options.kernels = flags.kernels;
  options.seed = flags.seed;
  options.interrupted = [] { return InterruptFlag().load(); };
  options.run = [&runs](const RunSpec& spec) {
    ProgressLine line(absl::StrCat("run ", ++runs, ": ", spec.name()));
    const MonotonicTime begin = MonotonicNow();
    RunArmOptions arm;
    arm.interrupted = &InterruptFlag();
    arm.progress = [&line](const ArmProgress& progress) { line.Show(progress); };
    RunRecord record = RunArm(spec, arm);
    line.Finish(record.status() == "ok"
                    ? FormatSeconds(absl::ToDoubleSeconds(MonotonicNow() - begin))
                    : record.status());
    return record;
  };
  const VerifyOutcome outcome = Verify(options);
  const double seconds = absl::ToDoubleSeconds(MonotonicNow() - begin);
  if (!outcome.real_data) Log(LogLevel::kWarning, outcome.data);
  flags.json ? PrintJson(outcome, seconds) : PrintTable(outcome, seconds);
  if (InterruptFlag()) return kExitInterrupted;
  return outcome.passed() ? kExitOk : kExitFailedRun;
}

}  // namespace

void DeclareVerify(Command program, Action* action) {
  Command command = program.AddCommand(
      "verify", "prove on this machine that only the strategy varies between arms");
  command.SetFooter(kVerifyFooter);
  auto flags = std::make_shared<VerifyFlags>();
  command.AddOption("--data-dir", &flags->data_dir, "folder with the four MNIST IDX files");
  command
      .AddOption("--kernels", &flags->kernels,
                 "kernel library of the runs on MNIST: cpu, cublas, reference or auto")
      .OneOf({"cpu", "cublas", "cublas_tf32", "reference", "auto"})
      .ShowDefault();
  command.AddOption("--seed", &flags->seed, "of weights, data and random schedules").ShowDefault();
  command.AddFlag("--json", &flags->json,
                  "one JSON object on standard output instead of the table");
  command.OnChosen([action, flags] { *action = [flags] { return RunVerify(*flags); }; });
}

}  // namespace ringmaster
