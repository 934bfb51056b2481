#include "experiments/study/report/report.h"

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "common/base/known_words.h"
#include "common/base/status_macros.h"
#include "common/config/comparable.h"
#include "common/config/describe.h"
#include "common/config/load.h"
#include "common/formats/json.h"
#include "experiments/study/report/caveats.h"
#include "experiments/study/report/chart_library.h"
#include "experiments/study/report/chart_rows.h"
#include "experiments/study/report/charts.h"
#include "experiments/study/report/comparisons.h"
#include "experiments/study/report/figures.h"
#include "experiments/study/report/spec_fields.h"
#include "proto/run_record.pb.h"

namespace ringmaster {
namespace {

constexpr char kPage[] =
#include "experiments/study/report/page.inc"
    ;

constexpr char kPageScript[] =
#include "experiments/study/report/page_script.inc"
    ;

constexpr char kFigureScript[] =
#include "experiments/study/report/figure_script.inc"
    ;

Json ChartOf(const ChartInfo& chart, const Comparisons& comparisons) {
  ChartRows rows = chart.rows(comparisons);
  Json panels = Json::Array();
  for (Panel& panel : rows.panels)
    panels.push_back({{"title", panel.title}, {"rows", std::move(panel.rows)}});
  Json json = {{"id", chart.id},
               {"section", chart.section},
               {"title", chart.title},
               {"shows", chart.shows},
               {"wide", absl::string_view(chart.id) == "timeline"},
               {"spec", *Json::Parse(chart.spec)},
               {"panels", std::move(panels)},
               {"missing", rows.missing}};
  if (chart.spec_of_one != nullptr) json["spec_of_one"] = *Json::Parse(chart.spec_of_one);
  return json;
}

// The charts in the order of the page. Where nothing learns, the first screen says where a step's
// time goes in place of losses.
Json PageCharts(const Comparisons& comparisons) {
  Json charts = Json::Array(), others = Json::Array();
  const std::string glance = Charts().front().section;
  const bool learns = !LossRows(comparisons).panels.empty();
  for (const ChartInfo& info : Charts()) {
    Json chart = ChartOf(info, comparisons);
    if (!learns && info.id == absl::string_view("breakdown")) chart["section"] = glance;
    (chart["section"].text() == glance ? charts : others).push_back(std::move(chart));
  }
  for (Json& chart : others) charts.push_back(std::move(chart));
  return charts;
}

Json TableJson(const ReportTable& table) {
  Json columns = Json::Array(), rows = Json::Array();
  for (const TableColumn& column : table.columns) {
    columns.push_back({{"title", column.title},
                       {"unit", column.unit},
                       {"group", column.group},
                       {"numeric", column.numeric},
                       {"wide", column.wide}});
  }
  for (const TableRow& row : table.rows) {
    Json cells = Json::Array();
    for (size_t i = 0; i < row.cells.size(); ++i)
      cells.push_back(CellText(table.columns[i], row.cells[i]));
    rows.push_back({{"arm", row.arm},
                    {"base", row.base},
                    {"comparison", row.comparison},
                    {"cells", std::move(cells)}});
  }
  // What has a row for every two arms or every run is opened by who wants it.
  const bool is_long = table.id == "pairs" || table.id == "nodes" || table.id == "runs";
  return {{"id", table.id},  {"section", table.section}, {"title", table.title},
          {"long", is_long}, {"caption", table.caption}, {"columns", columns},
          {"rows", rows}};
}

std::string FieldOf(const Comparison& comparison, const std::string& path) {
  const auto found = comparison.fields.find(path);
  return found == comparison.fields.end() ? "not set" : found->second;
}

// The sweeps that a comparison's runs belong to.
std::vector<std::string> SweepsOf(const Comparison& comparison) {
  std::set<std::string> sweeps;
  for (const ReportCell& cell : comparison.cells) {
    std::vector<const RunRecord*> runs = cell.failed;
    for (const Trial& trial : cell.trials) runs.push_back(trial.record);
    for (const RunRecord* run : runs)
      sweeps.insert(run->has_sweep() ? run->sweep().sweep() : "none");
  }
  return {sweeps.begin(), sweeps.end()};
}

// By what a reader may choose: arms, and what differs among comparisons. Settings say what each
// comparison has of it.
struct Filters {
  Json filters = Json::Array();
  std::map<int, Json> settings;  // by comparison: name -> values
};

Filters MakeFilters(const Comparisons& comparisons) {
  Filters result;
  result.filters.push_back({{"name", "arm"}, {"values", comparisons.arms}});
  const auto add = [&](const std::string& name,
                       const std::function<std::vector<std::string>(const Comparison&)>& of) {
    std::vector<std::string> values;
    for (const Comparison& comparison : comparisons.all) {
      for (const std::string& value : of(comparison)) {
        if (std::find(values.begin(), values.end(), value) == values.end()) values.push_back(value);
      }
    }
    if (values.size() < 2) return;
    result.filters.push_back({{"name", name}, {"values", values}});
    for (const Comparison& comparison : comparisons.all)
      result.settings[comparison.number][name] = of(comparison);
  };
  for (const std::string& path : comparisons.differing) {
    add(ShortFieldName(path), [&](const Comparison& comparison) {
      return std::vector<std::string>{FieldOf(comparison, path)};
    });
  }
  add("sweep", SweepsOf);
  return result;
}

// Why runs stand apart.
std::string ApartText(const Comparisons& comparisons) {
  if (comparisons.all.size() < 2) return "";
  std::vector<std::string> fields;
  for (const std::string& path : comparisons.differing) fields.push_back(path);
  return absl::StrCat(
      "The runs form ", comparisons.all.size(),
      " comparisons, which stand apart because more than strategy and codec differs between them: ",
      absl::StrJoin(fields, ", "), ".");
}

std::string SummaryText(const Comparisons& comparisons) {
  size_t runs = 0;
  std::set<std::string> machines, commits;
  std::string first, last;
  for (const Comparison& comparison : comparisons.all) {
    for (const ReportCell& cell : comparison.cells) {
      runs += cell.trials.size();
      for (const Trial& trial : cell.trials) {
        const RunRecord& record = *trial.record;
        machines.insert(
            absl::StrCat(record.machine().cpu(), " (", record.machine().cores(), " cores)"));
        commits.insert(record.build().commit().substr(0, 12));
        const std::string day = record.started_at().substr(0, 10);
        if (first.empty() || day < first) first = day;
        last = std::max(last, day);
      }
    }
  }
  std::string text = Counted(runs, "finished run", "finished runs");
  if (!comparisons.failed.empty()) absl::StrAppend(&text, ", ", FailedCounts(comparisons.failed));
  absl::StrAppend(&text, " of ", Counted(comparisons.arms.size(), "arm", "arms"), " in ",
                  Counted(comparisons.all.size(), "comparison", "comparisons"));
  if (comparisons.evaluations > 0) {
    absl::StrAppend(&text, "; ",
                    Counted(comparisons.evaluations, "evaluation is", "evaluations are"),
                    " left out");
  }
  if (comparisons.repeated > 0) {
    absl::StrAppend(&text, "; ", Counted(comparisons.repeated, "run", "runs"),
                    " of trials that had been made before left out");
  }
  if (runs == 0) return absl::StrCat(text, ".");
  absl::StrAppend(
      &text, first == last ? absl::StrCat(", ", first) : absl::StrCat(", ", first, " to ", last),
      ", on ", absl::StrJoin(machines, " and "), ", build ", absl::StrJoin(commits, ", "), ".");
  return text;
}

Json SettingsJson(const Comparisons& comparisons) {
  Json settings = Json::Array();
  for (const Comparison& comparison : comparisons.all) {
    std::string text = absl::StrCat("# What all runs of this comparison share\n",
                                    SerializeRunSpec(SharedPart(comparison.cells.front().spec)));
    for (const ReportCell& cell : comparison.cells) {
      RunSpec own;
      *own.mutable_strategy() = cell.spec.strategy();
      *own.mutable_codec() = cell.spec.codec();
      const std::string tuned = TunedText(cell);
      absl::StrAppend(&text, "\n# ", cell.arm, tuned.empty() ? "" : ": ", tuned, "\n",
                      SerializeRunSpec(own));
    }
    settings.push_back({{"title", absl::StrCat("Spec of ", comparison.label)}, {"text", text}});
  }
  return settings;
}

size_t FinishedArms(const Comparison& comparison) {
  return std::count_if(comparison.cells.begin(), comparison.cells.end(),
                       [](const ReportCell& cell) { return !cell.trials.empty(); });
}

// Of all runs how many were disturbed, and the most that was taken from one.
std::string DisturbanceText(const Comparisons& comparisons) {
  size_t runs = 0, disturbed = 0;
  double most = 0;
  for (const Comparison& comparison : comparisons.all) {
    for (const ReportCell& cell : comparison.cells) {
      for (const Trial& trial : cell.trials) {
        ++runs;
        if (!IsDisturbed(*trial.record)) continue;
        ++disturbed;
        const Conditions& conditions = trial.record->conditions();
        most = std::max(most, conditions.foreign_share() + conditions.stolen_share());
      }
    }
  }
  if (disturbed == 0) return "";
  const std::string taken =
      most < 0.01 ? std::string("heat, a CPU quota or a stop held them up")
                  : absl::StrFormat("others took up to %.0f %% of its cores", 100 * most);
  return absl::StrFormat("The machine was not quiet during %d of %d runs: %s.", disturbed, runs,
                         taken);
}

// The fewest pairs of trials of two arms that both exchange something; 0 where no two do.
size_t FewestPairs(const Comparisons& comparisons) {
  size_t fewest = 0;
  for (const Comparison& comparison : comparisons.all) {
    for (const PairedFigure& pair : PairedFigures(comparison)) {
      if (fewest == 0 || pair.pairs < fewest) fewest = pair.pairs;
    }
  }
  return fewest;
}

// No text may end the script that it stands in. In JSON a "<" stands in strings alone.
std::string ScriptSafe(absl::string_view json) {
  return absl::StrReplaceAll(json, {{"<", "\\u003c"}});
}

}  // namespace

absl::StatusOr<Json> ChartJson(const Comparisons& comparisons, absl::string_view id) {
  for (const ChartInfo& chart : Charts()) {
    if (chart.id == id) return ChartOf(chart, comparisons);
  }
  std::vector<std::string> known;
  for (const ChartInfo& chart : Charts()) known.push_back(chart.id);
  return absl::InvalidArgumentError(
      absl::StrCat("chart \"", id, "\": no such chart; ", KnownWordsText(id, known)));
}

int MainComparison(const Comparisons& comparisons) {
  const auto rank = [](const Comparison& comparison) {
    return std::make_tuple(FinishedArms(comparison), comparison.workers(), comparison.number);
  };
  const auto main =
      std::max_element(comparisons.all.begin(), comparisons.all.end(),
                       [&](const Comparison& a, const Comparison& b) { return rank(a) < rank(b); });
  return main == comparisons.all.end() ? 0 : main->number;
}

std::string FirstDoubt(const Comparisons& comparisons) {
  const std::vector<std::string> doubts = Doubts(comparisons);
  const std::string more =
      doubts.empty() ? ""
                     : absl::StrCat(" ", doubts.size(),
                                    doubts.size() == 1 ? " doubtful figure is" : " doubts are",
                                    " named below.");
  if (const std::string text = DisturbanceText(comparisons); !text.empty()) return text + more;
  if (!comparisons.failed.empty()) {
    return absl::StrCat(FailuresText(comparisons.failed), "; figures are of the others alone.",
                        more);
  }
  if (!doubts.empty()) return absl::StrCat(doubts.front(), doubts.size() > 1 ? more : "");
  const size_t pairs = FewestPairs(comparisons);
  if (pairs == 0 || pairs >= kPairsForVerdict) return "";
  return absl::StrCat("With ", pairs, pairs == 1 ? " trial" : " trials",
                      " of an arm a difference may be chance: a verdict takes ", kPairsForVerdict,
                      ".");
}

absl::StatusOr<std::string> ReportPage(const Comparisons& comparisons,
                                       const std::vector<ReportTable>& tables) {
  RM_RETURN_IF_ERROR(CheckChartLibrary());
  const ChartLibrary& library = EmbeddedChartLibrary();
  Filters filters = MakeFilters(comparisons);
  Json json = {{"title", "Ringmaster report"},
               {"summary", SummaryText(comparisons)},
               {"apart", ApartText(comparisons)},
               {"arms", ArmStyles(comparisons.arms)},
               {"filters", filters.filters},
               {"comparisons", Json::Array()},
               {"main", MainComparison(comparisons)},
               {"doubt", FirstDoubt(comparisons)},
               {"charts", PageCharts(comparisons)},
               {"tables", Json::Array()},
               {"limits", Limits(comparisons)},
               {"doubts", Doubts(comparisons)},
               {"settings", SettingsJson(comparisons)},
               {"about", absl::StrCat("Written by ringmaster report. ", ChartLibraryCredits())},
               {"licences", library.licence}};
  for (const Comparison& comparison : comparisons.all) {
    json["comparisons"].push_back({{"number", comparison.number},
                                   {"label", comparison.label},
                                   {"settings", filters.settings[comparison.number]}});
  }
  for (const ReportTable& table : tables) json["tables"].push_back(TableJson(table));
  const std::string data = ScriptSafe(json.Dump());
  const std::string scripts =
      absl::StrCat(library.vega, "\n", library.vega_lite, "\n", library.vega_embed, "\n");
  return absl::StrReplaceAll(kPage, {{"/*SCRIPTS*/", scripts},
                                     {"/*REPORT*/", data},
                                     {"/*PAGE*/", absl::StrCat(kFigureScript, "\n", kPageScript)}});
}

}  // namespace ringmaster
