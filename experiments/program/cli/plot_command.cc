#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/known_words.h"
#include "common/base/status_macros.h"
#include "common/formats/atomic_file.h"
#include "common/formats/json.h"
#include "common/log/log.h"
#include "experiments/program/cli/commands.h"
#include "experiments/program/store/store.h"
#include "experiments/study/report/charts.h"
#include "experiments/study/report/comparisons.h"
#include "experiments/study/report/plot.h"
#include "experiments/study/report/report.h"
#include "proto/run_record.pb.h"

namespace ringmaster {
namespace {

constexpr char kPlotFooter[] =
    "Examples:\n"
    "  ringmaster plot --list\n"
    "  ringmaster plot scaling ringmaster-out -o scaling.svg\n"
    "  ringmaster plot breakdown --arms ps,ring --comparison 2 -o breakdown.svg\n"
    "\n"
    "The same charts as in the page of `ringmaster report`, drawn by Node.js (apt-get install "
    "nodejs).";

struct PlotFlags {
  std::string chart;
  std::string store = "ringmaster-out";
  std::string out;
  std::vector<std::string> arms;
  int comparison = 0;
  PlotOptions options;
  bool list = false;
};

int List() {
  for (const ChartInfo& chart : Charts()) std::printf("%-18s %s\n", chart.id, chart.title);
  return kExitOk;
}

// Leaves the rows that the flags ask for.
absl::Status Choose(const PlotFlags& flags, const Comparisons& comparisons, Json* chart) {
  for (const std::string& arm : flags.arms) {
    if (std::find(comparisons.arms.begin(), comparisons.arms.end(), arm) != comparisons.arms.end())
      continue;
    return absl::InvalidArgumentError(absl::StrCat("--arms ", arm, ": the store has no such arm; ",
                                                   DidYouMean(arm, comparisons.arms), "it has ",
                                                   absl::StrJoin(comparisons.arms, ", ")));
  }
  if (flags.comparison > static_cast<int>(comparisons.all.size())) {
    return absl::InvalidArgumentError(absl::StrCat("--comparison ", flags.comparison,
                                                   ": the store has ", comparisons.all.size()));
  }
  const auto wanted = [&](const Json& row) {
    if (!row.contains("arm")) return true;
    if (flags.comparison > 0 && row["comparison"].number() != flags.comparison) return false;
    return flags.arms.empty() ||
           std::find(flags.arms.begin(), flags.arms.end(), row["arm"].text()) != flags.arms.end();
  };
  Json panels = Json::Array();
  for (Json& panel : (*chart)["panels"]) {
    Json rows = Json::Array();
    bool any = false;
    for (Json& row : panel["rows"]) {
      if (!wanted(row)) continue;
      any = any || row.contains("arm");
      rows.push_back(std::move(row));
    }
    if (any) panels.push_back({{"title", panel["title"]}, {"rows", std::move(rows)}});
  }
  (*chart)["panels"] = std::move(panels);
  if (!(*chart)["panels"].empty()) return absl::OkStatus();
  const std::string missing = (*chart)["missing"].text();
  return absl::InvalidArgumentError(absl::StrCat(
      "chart \"", flags.chart, "\" of ", flags.store,
      " has no data: ", missing.empty() ? "--arms and --comparison leave nothing of it" : missing));
}

absl::Status Plot(const PlotFlags& flags) {
  if (!flags.out.empty()) RM_RETURN_IF_ERROR(CheckFileCanBeWritten(flags.out));
  RM_RETURN_IF_ERROR(ChartJson(Comparisons(), flags.chart).status());
  RM_ASSIGN_OR_RETURN(const std::vector<RunRecord> records, Store::ReadRecords(flags.store));
  const Comparisons comparisons = GroupRecords(records);
  RM_ASSIGN_OR_RETURN(Json chart, ChartJson(comparisons, flags.chart));
  RM_RETURN_IF_ERROR(Choose(flags, comparisons, &chart));
  RM_ASSIGN_OR_RETURN(const std::string svg,
                      PlotSvg(chart, ArmStyles(comparisons.arms), flags.options));
  if (flags.out.empty()) {
    std::fputs(svg.c_str(), stdout);
    return absl::OkStatus();
  }
  RM_RETURN_IF_ERROR(WriteFileAtomically(flags.out, svg));
  std::fprintf(stderr, "%s: %zu panels\n", flags.out.c_str(), chart["panels"].size());
  return absl::OkStatus();
}

int PlotOrList(const PlotFlags& flags) {
  if (flags.list) return List();
  const absl::Status status =
      flags.chart.empty()
          ? absl::InvalidArgumentError("name a chart; `ringmaster plot --list` shows them")
          : Plot(flags);
  if (status.ok()) return kExitOk;
  Log(LogLevel::kError, status.message());
  return kExitUserError;
}

}  // namespace

void DeclarePlot(Command program, Action* action) {
  Command command = program.AddCommand("plot", "one chart of stored runs as SVG; needs Node.js");
  command.SetFooter(kPlotFooter);
  auto flags = std::make_shared<PlotFlags>();
  command.AddOption("CHART", &flags->chart, "scaling, breakdown, ...; --list shows them");
  command.AddOption("STORE", &flags->store, "folder of results.jsonl").ShowDefault();
  command.AddFlag("--list", &flags->list, "show the names of charts");
  command.AddOption("-o,--out", &flags->out, "file to write; else standard output")
      .Takes("FILE.svg");
  command.AddOption("--arms", &flags->arms, "only these").Commas();
  command
      .AddOption("--comparison", &flags->comparison, "only this one, by its number in --format csv")
      .Between(1, 100000);
  command.AddOption("--width", &flags->options.width, "pixels").Between(240, 4000).ShowDefault();
  command.AddFlag("--dark", &flags->options.dark, "for dark paper");
  command.OnChosen([action, flags] { *action = [flags] { return PlotOrList(*flags); }; });
}

}  // namespace ringmaster
