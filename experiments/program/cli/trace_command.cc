#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/formats/atomic_file.h"
#include "common/log/log.h"
#include "experiments/program/cli/commands.h"
#include "experiments/program/store/store.h"
#include "experiments/trace/chrome_trace.h"
#include "experiments/trace/find_run.h"
#include "proto/run_record.pb.h"

namespace ringmaster {
namespace {

constexpr size_t kListedRunsMax = 20;
constexpr char kTraceFooter[] =
    "Examples:\n"
    "  ringmaster trace                                 the runs that have traces\n"
    "  ringmaster trace ring                            the newest run of the arm ring, to "
    "trace.json\n"
    "  ringmaster trace last -o last.json\n"
    "  ringmaster trace 20261125T144512Z --out four-workers -o - | gzip > trace.json.gz\n"
    "\n"
    "Open the file at https://ui.perfetto.dev, which keeps it in the browser, or at "
    "chrome://tracing. Every run "
    "records\n"
    "its first 3 steps after warm-up; --set output.trace_steps=N makes a run record more of them, "
    "or none.\n"
    "A run that failed shows the last events of its ranks instead.";

struct TraceFlags {
  std::string run;
  std::string file = "trace.json";
  std::string store = "ringmaster-out";
};

absl::StatusOr<std::vector<RunRecord>> RecordsOf(const std::string& folder) {
  absl::StatusOr<std::vector<RunRecord>> records = Store::ReadRecords(folder);
  if (!absl::IsNotFound(records.status())) return records;
  return absl::NotFoundError(absl::StrCat("no results in ", folder,
                                          ": it has neither results.sqlite nor results.jsonl; "
                                          "`ringmaster compare --out ",
                                          folder,
                                          "` makes some, or name another folder with --out"));
}

int Fail(const std::string& message) {
  Log(LogLevel::kError, message);
  return kExitUserError;
}

int List(const std::vector<RunRecord>& records, FILE* where) {
  const std::string text = TracedRunsText(records, kListedRunsMax);
  if (text.empty()) return Fail("no run here was traced; run one with --set output.trace_steps=3");
  std::fputs(text.c_str(), where);
  return kExitOk;
}

int WriteTrace(const TraceFlags& flags) {
  const absl::StatusOr<std::vector<RunRecord>> records = RecordsOf(flags.store);
  if (!records.ok()) return Fail(std::string(records.status().message()));
  if (flags.run.empty()) return List(*records, stdout);
  const absl::StatusOr<const RunRecord*> run = FindRun(*records, flags.run);
  if (!run.ok()) {
    const bool unknown =
        absl::IsNotFound(run.status()) && !TracedRunsText(*records, kListedRunsMax).empty();
    Fail(
        absl::StrCat(run.status().message(),
                     unknown ? absl::StrCat(" in ", flags.store, "; those with traces are:") : ""));
    if (unknown) List(*records, stderr);
    return kExitUserError;
  }
  if (!HasTraces(**run)) return Fail(WhyNoTraces(**run));
  const ChromeTrace trace = MakeChromeTrace(**run);
  if (flags.file == "-") {
    std::fputs(trace.json.c_str(), stdout);
  } else {
    const absl::Status written = WriteFileAtomically(flags.file, trace.json);
    if (!written.ok()) return Fail(std::string(written.message()));
    std::fprintf(stderr,
                 "%s: %d steps of run %s, arm %s: %d threads, %d spans, %d messages; open it at "
                 "https://ui.perfetto.dev\n",
                 flags.file.c_str(), static_cast<int>(trace.steps), (*run)->run_id().c_str(),
                 (*run)->spec().name().c_str(), static_cast<int>(trace.threads),
                 static_cast<int>(trace.spans), static_cast<int>(trace.messages));
  }
  if (trace.dropped > 0) {
    Log(LogLevel::kWarning,
        absl::StrCat(trace.dropped,
                     " spans or messages are missing: there was no room to record them; ",
                     "trace fewer steps, or a run with fewer buckets"));
  }
  return kExitOk;
}

}  // namespace

void DeclareTrace(Command program, Action* action) {
  Command command = program.AddCommand(
      "trace", "a few steps of every rank and thread, and the messages between them");
  command.SetFooter(kTraceFooter);
  auto flags = std::make_shared<TraceFlags>();
  command.AddOption(
      "RUN", &flags->run,
      "run_id, or how it begins; \"last\"; or an arm, whose newest run it is. Absent: lists runs");
  command.AddOption("-o", &flags->file, "Chrome trace-event file to write; - for standard output")
      .Takes("FILE.json")
      .ShowDefault();
  command.AddOption("--out", &flags->store, "folder of results.jsonl").Takes("DIR").ShowDefault();
  command.OnChosen([action, flags] { *action = [flags] { return WriteTrace(*flags); }; });
}

}  // namespace ringmaster
