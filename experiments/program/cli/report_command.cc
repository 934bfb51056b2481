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
#include "experiments/study/report/comparisons.h"
#include "experiments/study/report/report.h"
#include "experiments/study/report/table_text.h"
#include "experiments/study/report/tables.h"
#include "proto/run_record.pb.h"

namespace ringmaster {
namespace {

constexpr char kReportFooter[] =
    "Examples:\n"
    "  ringmaster report ringmaster-out -o report.html    charts and tables, one file that needs "
    "no network\n"
    "  ringmaster report ringmaster-out --format md       tables on standard output; also csv, "
    "json, latex\n"
    "\n"
    "Runs stand side by side only where strategy and codec alone differ; others form comparisons "
    "of their own.\n"
    "Figures are medians over trials with bootstrap 95 % intervals. A failed run has a status and "
    "no figures.\n"
    "Nothing in STORE is changed.";

struct ReportFlags {
  std::string store = "ringmaster-out";
  std::string out;
  std::string format = "html";
};

absl::StatusOr<std::string> Render(const std::string& format, const Comparisons& comparisons) {
  if (format == "csv") return CsvText(comparisons);
  if (format == "json") return JsonText(comparisons, MakeTables(comparisons, ColumnChoice::kAll));
  const std::vector<ReportTable> tables = MakeTables(comparisons);
  if (format == "md") return MarkdownText(comparisons, tables);
  if (format == "latex") return LatexText(comparisons, tables);
  return ReportPage(comparisons, tables);
}

absl::Status Report(const ReportFlags& flags) {
  const bool page = flags.format == "html";
  const std::string out = flags.out.empty() && page ? "report.html" : flags.out;
  if (!out.empty()) RM_RETURN_IF_ERROR(CheckFileCanBeWritten(out));
  RM_ASSIGN_OR_RETURN(const std::vector<RunRecord> records, Store::ReadRecords(flags.store));
  const Comparisons comparisons = GroupRecords(records);
  if (comparisons.all.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("store ", flags.store,
                     ": holds no training runs; add some with ringmaster "
                     "compare --out ",
                     flags.store, " or ringmaster sweep"));
  }
  RM_ASSIGN_OR_RETURN(const std::string text, Render(flags.format, comparisons));
  if (comparisons.failed.size() + comparisons.evaluations == records.size()) {
    Log(LogLevel::kWarning,
        absl::StrCat("store ", flags.store, ": no run has finished, so there are no figures"));
  }
  if (out.empty()) {
    std::fputs(text.c_str(), stdout);
    return absl::OkStatus();
  }
  RM_RETURN_IF_ERROR(WriteFileAtomically(out, text));
  std::fprintf(stderr, "%s: %zu runs in %zu comparisons%s\n", out.c_str(), records.size(),
               comparisons.all.size(), page ? "; open it in a browser" : "");
  return absl::OkStatus();
}

}  // namespace

void DeclareReport(Command program, Action* action) {
  Command command =
      program.AddCommand("report", "charts and tables of stored runs, as one HTML page or as text");
  command.SetFooter(kReportFooter);
  auto flags = std::make_shared<ReportFlags>();
  command.AddOption("STORE", &flags->store, "folder of results.jsonl").ShowDefault();
  command
      .AddOption("-o,--out", &flags->out,
                 "file to write; report.html for a page, else standard output")
      .Takes("FILE");
  command.AddOption("--format", &flags->format, "html, md, csv, json or latex (booktabs)")
      .OneOf({"html", "md", "csv", "json", "latex"})
      .ShowDefault();
  command.OnChosen([action, flags] {
    *action = [flags] {
      const absl::Status status = Report(*flags);
      if (status.ok()) return kExitOk;
      Log(LogLevel::kError, status.message());
      return kExitUserError;
    };
  });
}

}  // namespace ringmaster
