// Rows of the charts of speed, and of where a step's time goes.

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/formats/json.h"
#include "common/scheme/registry.h"
#include "common/trace/trace.h"
#include "experiments/study/report/caveats.h"
#include "experiments/study/report/comparisons.h"
#include "experiments/study/report/chart_rows.h"
#include "experiments/study/report/figures.h"
#include "experiments/study/report/panels.h"
#include "experiments/study/report/spec_fields.h"
#include "experiments/study/results/statistics.h"
#include "experiments/study/results/summary.h"

namespace ringmaster {
namespace {

constexpr char kNothingFinished[] = "No run has finished, so there are no figures of speed.";

constexpr char kWorkersPath[] = "training.workers";
// Of two arms that are so close nobody wins.
constexpr double kAsFast = 1.005;

// A row for every cell that has the figure.
AddRows FigureRows(const char* tag, const char* name) {
  return [tag, name](const Comparison& comparison, Json* rows) {
    for (const ReportCell& cell : comparison.cells) {
      const auto figure = FigureOf(cell, FigureByTag(tag));
      if (!figure.has_value()) continue;
      Json row = RowOf(comparison, cell);
      row["N"] = comparison.workers();
      AddInterval(name, *figure, &row);
      row["trials"] = cell.trials.size();
      rows->push_back(std::move(row));
    }
  };
}

// The number that a comparison has in a field; absent where it has none.
std::optional<double> NumberOf(const Comparison& comparison, const std::string& path) {
  const auto found = comparison.fields.find(path);
  double number = 0;
  if (found == comparison.fields.end() || !absl::SimpleAtod(found->second, &number))
    return std::nullopt;
  return number;
}

const ReportCell& CellIn(const Comparison& comparison, const std::string& arm) {
  return *std::find_if(comparison.cells.begin(), comparison.cells.end(),
                       [&](const ReportCell& cell) { return cell.arm == arm; });
}

// Without the panels in which all rows have one N: they would stand above each other at one x.
ChartRows OverWorkers(ChartRows chart) {
  if (chart.panels.empty()) return chart;
  const auto has_one = [](Panel& panel) {
    std::set<double> counts;
    for (Json& row : panel.rows) counts.insert(row["N"].number());
    return counts.size() < 2;
  };
  chart.panels.erase(std::remove_if(chart.panels.begin(), chart.panels.end(), has_one),
                     chart.panels.end());
  if (chart.panels.empty()) {
    chart.missing =
        "No runs differ in the number of workers alone. A sweep with the axis training.workers "
        "makes some.";
  }
  return chart;
}

// What tells a comparison from the others apart from some fields.
std::string LabelWithout(const Comparisons& comparisons, const Comparison& comparison,
                         const std::set<std::string>& paths) {
  std::vector<std::string> parts;
  for (const std::string& other : comparisons.differing) {
    const auto found = comparison.fields.find(other);
    if (paths.count(other) > 0) continue;
    parts.push_back(absl::StrCat(ShortFieldName(other), " = ",
                                 found == comparison.fields.end() ? "not set" : found->second));
  }
  return absl::StrJoin(parts, ", ");
}

// The comparisons that differ in that field alone, by what else tells them from the rest; a panel
// for each.
void AddSwept(const Comparisons& comparisons, const std::string& path, ChartRows* chart) {
  std::map<std::string, std::vector<const Comparison*>> groups;
  for (const Comparison& comparison : comparisons.all) {
    if (NumberOf(comparison, path).has_value())
      groups[LabelWithout(comparisons, comparison, {path})].push_back(&comparison);
  }
  for (const auto& [label, group] : groups) {
    if (group.size() < 2) continue;
    Panel panel;
    panel.title = label.empty() ? path : absl::StrCat(path, " (", label, ")");
    for (const Comparison* comparison : group) {
      Json rows = Json::Array();
      FigureRows("samples_per_second", "samples_per_second")(*comparison, &rows);
      for (Json& row : rows) {
        row["setting"] = path;
        row["value"] = *NumberOf(*comparison, path);
        panel.rows.push_back(std::move(row));
      }
    }
    if (!panel.rows.empty()) chart->panels.push_back(std::move(panel));
  }
}

// The fastest arm of the comparison and the next one; absent: fewer than two compete.
struct Winner {
  const ReportCell* cell = nullptr;
  double rate = 0;  // samples a second
  std::string second;
  double ratio = 0;
};
std::optional<Winner> WinnerOf(const Comparison& comparison) {
  std::vector<std::pair<double, const ReportCell*>> rates;
  for (const ReportCell& cell : comparison.cells) {
    const auto figure = FigureOf(cell, FigureByTag("samples_per_second"));
    if (figure.has_value() && figure->median > 0 &&
        TraitsOf(cell.spec).yardstick == Yardstick::kNone)
      rates.emplace_back(figure->median, &cell);
  }
  if (rates.size() < 2) return std::nullopt;
  // Of equal ones the first.
  std::stable_sort(rates.begin(), rates.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  return Winner{rates[0].second, rates[0].first, rates[1].second->arm,
                rates[0].first / rates[1].first};
}

// A row for every comparison that has the setting; a panel for those that differ in it and in the
// number of workers alone.
void AddWinners(const Comparisons& comparisons, const std::string& path, ChartRows* chart) {
  std::map<std::string, Panel> panels;  // by what else tells comparisons apart
  for (const Comparison& comparison : comparisons.all) {
    const std::optional<double> value = NumberOf(comparison, path);
    const std::optional<Winner> winner = WinnerOf(comparison);
    if (!value.has_value() || !winner.has_value()) continue;
    const std::string label = LabelWithout(comparisons, comparison, {kWorkersPath, path});
    Json row = RowOf(comparison, *winner->cell);
    row["N"] = comparison.workers();
    row["setting"] = path;
    row["value"] = *value;
    row["samples_per_second"] = Rounded(winner->rate);
    row["second"] = winner->second;
    row["ratio"] = Rounded(winner->ratio);
    // Who is no faster by what anybody could see is said so.
    row["text"] = winner->ratio < kAsFast
                      ? absl::StrCat(winner->cell->arm, " = ", winner->second)
                      : absl::StrFormat("%s %.2f×", winner->cell->arm, winner->ratio);
    panels[label].rows.push_back(std::move(row));
  }
  for (auto& [label, panel] : panels) {
    std::set<double> counts, values;
    for (Json& row : panel.rows) {
      counts.insert(row["N"].number());
      values.insert(row["value"].number());
    }
    if (counts.size() < 2 || values.size() < 2) continue;
    panel.title = label.empty() ? path : absl::StrCat(path, " (", label, ")");
    chart->panels.push_back(std::move(panel));
  }
}

// The step thread's phases in the order in which a step passes through them.
constexpr Phase kStepPhases[] = {Phase::kLoad,    Phase::kGate,     Phase::kUpload,
                                 Phase::kForward, Phase::kBackward, Phase::kDownload,
                                 Phase::kExposed, Phase::kUpdate};

// What a mean timed step of the run takes beyond its phases.
double RestMs(const Trial& trial) {
  double step_ms = 0, workers = 0;
  for (const ProcessReport& process : trial.record->reports()) {
    for (const WorkerReport& worker : process.workers()) {
      if (worker.timed_steps() == 0) continue;
      step_ms += 1000 * worker.timed_seconds() / static_cast<double>(worker.timed_steps());
      ++workers;
    }
  }
  if (workers == 0) return 0;
  double rest = step_ms / workers;
  for (const Phase phase : kStepPhases) rest -= PhaseMs(trial.summary, PhaseName(phase));
  return std::max(0.0, rest);
}

void AddPhase(const Comparison& comparison, const ReportCell& cell, const std::string& phase,
              int order, const std::function<double(const Trial&)>& of, Json* rows) {
  std::vector<double> values;
  for (const Trial& trial : cell.trials) values.push_back(of(trial));
  const auto step_ms = FigureOf(cell, FigureByTag("step_ms_p50"));
  // Less than a reader could see is left out, or every legend would name every phase.
  constexpr double kVisible = 0.005;
  if (!step_ms.has_value() || Median(values) <= kVisible * step_ms->median) return;
  Json row = RowOf(comparison, cell);
  row["phase"] = phase;
  row["order"] = order;
  row["milliseconds"] = Rounded(Median(values));
  rows->push_back(std::move(row));
}

// Exposed waiting in its two parts, where the runs have them.
bool AddSkewAndTransfer(const Comparison& comparison, const ReportCell& cell, int* order,
                        Json* rows) {
  if (!FigureOf(cell, FigureByTag("skew_ms")).has_value()) return false;
  for (const char* part : {"skew", "transfer"}) {
    const Figure& figure = FigureByTag(absl::StrCat(part, "_ms"));
    AddPhase(
        comparison, cell, part, (*order)++,
        [&](const Trial& trial) { return figure.value(trial.summary).value_or(0); }, rows);
  }
  return true;
}

}  // namespace

ChartRows RankingRows(const Comparisons& comparisons) {
  const auto ceiling = [](const Trial& trial) -> std::optional<double> {
    const RunSummary& summary = trial.summary;
    if (!summary.has_samples_per_second() || !summary.has_efficiency()) return std::nullopt;
    return summary.samples_per_second() / summary.efficiency();
  };
  return PanelPerComparison(
      comparisons,
      [&](const Comparison& comparison, Json* rows) {
        FigureRows("samples_per_second", "samples_per_second")(comparison, rows);
        for (Json& row : *rows) {
          const ReportCell& cell = CellIn(comparison, row["arm"].text());
          const Yardstick yardstick = TraitsOf(cell.spec).yardstick;
          row["name"] = yardstick == Yardstick::kEfficiency
                            ? absl::StrCat(cell.arm, ", the ceiling")
                        : yardstick == Yardstick::kSpeedUp ? absl::StrCat(cell.arm, ", 1 worker")
                                                           : cell.arm;
          if (yardstick != Yardstick::kNone) {
            row["yardstick"] = true;
            continue;
          }
          if (const auto percent = FigureOf(cell, FigureByTag("efficiency")))
            row["percent"] = Rounded(percent->median);
          if (const auto most = FigureOf(cell, ceiling)) row["ceiling"] = Rounded(most->median);
        }
      },
      kNothingFinished);
}

ChartRows ScalingRows(const Comparisons& comparisons) {
  return OverWorkers(PanelPerFamily(
      comparisons, FigureRows("samples_per_second", "samples_per_second"), kNothingFinished));
}

ChartRows SweptRows(const Comparisons& comparisons) {
  ChartRows chart;
  for (const std::string& path : comparisons.differing) {
    if (path != kWorkersPath) AddSwept(comparisons, path, &chart);
  }
  if (chart.panels.empty()) {
    chart.missing =
        "No two comparisons with finished runs differ in one numeric setting alone, the number of "
        "workers left out. A sweep with an axis such as training.bucket_bytes makes some.";
  }
  return chart;
}

ChartRows WinnersRows(const Comparisons& comparisons) {
  ChartRows chart;
  for (const std::string& path : comparisons.differing) {
    if (path != kWorkersPath) AddWinners(comparisons, path, &chart);
  }
  if (chart.panels.empty()) {
    chart.missing =
        "No comparisons of two arms and more differ in the number of workers and in one more "
        "numeric setting. A sweep with both axes makes some.";
  }
  return chart;
}

ChartRows EfficiencyRows(const Comparisons& comparisons) {
  return OverWorkers(
      PanelPerFamily(comparisons, FigureRows("efficiency", "percent"),
                     "Efficiency is an arm's samples/s over solo's in the same comparison: no "
                     "comparison has a finished solo arm. Add solo to the arms and run again."));
}

ChartRows CostRows(const Comparisons& comparisons) {
  return PanelPerComparison(
      comparisons,
      [](const Comparison& comparison, Json* rows) {
        const auto has_more = [](const ReportCell& cell) {
          return TraitsOf(cell.spec).processes > TraitsOf(cell.spec).workers;
        };
        if (std::none_of(comparison.cells.begin(), comparison.cells.end(), has_more)) return;
        for (const char* per : {"worker", "process"}) {
          const bool worker = per == std::string("worker");
          const char* id = worker ? "samples_per_second_per_worker" : "samples_per_second_per_node";
          for (const ReportCell& cell : comparison.cells) {
            const auto figure = FigureOf(cell, FigureByTag(id));
            if (!figure.has_value()) continue;
            Json row = RowOf(comparison, cell);
            row["per"] = per;
            AddInterval("samples_per_second", *figure, &row);
            rows->push_back(std::move(row));
          }
        }
      },
      "No finished run has processes beside its workers, so both are the samples per second over "
      "N.");
}

ChartRows RatioRows(const Comparisons& comparisons) {
  return PanelPerComparison(
      comparisons,
      [](const Comparison& comparison, Json* rows) {
        for (const PairedFigure& pair : PairedFigures(comparison)) {
          if (!TraitsOf(pair.base->spec).exchanges) continue;
          Json row = RowOf(comparison, *pair.arm);
          row["base"] = pair.base->arm;
          row["pair"] = absl::StrCat(pair.arm->arm, " / ", pair.base->arm);
          AddInterval("ratio", pair.ratio, &row);
          row["pairs"] = pair.pairs;
          row["verdict"] = pair.verdict();
          rows->push_back(std::move(row));
        }
      },
      "It takes two arms that exchange something and have finished trials side by side.");
}

ChartRows BreakdownRows(const Comparisons& comparisons) {
  return PanelPerComparison(
      comparisons,
      [](const Comparison& comparison, Json* rows) {
        for (const ReportCell& cell : comparison.cells) {
          int order = 0;
          for (const Phase phase : kStepPhases) {
            if (phase == Phase::kExposed && AddSkewAndTransfer(comparison, cell, &order, rows))
              continue;
            AddPhase(
                comparison, cell, PhaseName(phase), order++,
                [phase](const Trial& trial) { return PhaseMs(trial.summary, PhaseName(phase)); },
                rows);
          }
          AddPhase(comparison, cell, "rest", order, RestMs, rows);
        }
      },
      kNothingFinished);
}

ChartRows CommunicationRows(const Comparisons& comparisons) {
  return PanelPerComparison(
      comparisons,
      [](const Comparison& comparison, Json* rows) {
        const std::pair<const char*, const char*> kinds[] = {{"exposed_comm_ms", "exposed"},
                                                             {"skew_ms", "skew"},
                                                             {"transfer_ms", "transfer"},
                                                             {"hidden_comm_ms", "hidden"},
                                                             {"contention_ms", "contention"}};
        for (const ReportCell& cell : comparison.cells) {
          const bool is_split = FigureOf(cell, FigureByTag("skew_ms")).has_value();
          for (const auto& [id, kind] : kinds) {
            const auto figure = FigureOf(cell, FigureByTag(id));
            if (!figure.has_value() || (is_split && kind == std::string("exposed"))) continue;
            Json row = RowOf(comparison, cell);
            row["kind"] = kind;
            AddInterval("milliseconds", *figure, &row);
            rows->push_back(std::move(row));
          }
        }
      },
      "No arm that exchanges anything has finished: single and solo have no communication.");
}

ChartRows PredictionRows(const Comparisons& comparisons) {
  ChartRows chart = PanelPerFamily(
      comparisons,
      [](const Comparison& comparison, Json* rows) {
        for (const ReportCell& cell : comparison.cells) {
          const auto predicted = FigureOf(cell, FigureByTag("predicted_step_ms"));
          const auto measured = FigureOf(cell, FigureByTag("step_ms_p50"));
          if (!predicted.has_value() || !measured.has_value()) continue;
          Json row = RowOf(comparison, cell);
          row["N"] = comparison.workers();
          row["predicted_ms"] = Rounded(predicted->median);
          AddInterval("measured_ms", *measured, &row);
          const double off = 100 * (predicted->median / measured->median - 1);
          row["off_percent"] = Rounded(off);
          row["off_text"] = absl::StrFormat("%+.0f %%", off);
          rows->push_back(std::move(row));
        }
      },
      "No run has a prediction. `ringmaster predict` and `ringmaster sweep --predict` keep one "
      "with what they measure.");
  for (Panel& panel : chart.panels) {
    std::set<double> counts;
    for (Json& row : panel.rows) counts.insert(row["N"].number());
    for (Json& row : panel.rows) {
      const std::string arm = row["arm"].text();
      row["name"] = counts.size() > 1 ? absl::StrCat(arm, ", N = ", row["N"].number()) : arm;
    }
  }
  return chart;
}

ChartRows DriftRows(const Comparisons& comparisons) {
  // The order in which runs began, over the whole store.
  std::vector<std::string> starts;
  for (const Comparison& comparison : comparisons.all) {
    for (const ReportCell& cell : comparison.cells) {
      for (const Trial& trial : cell.trials)
        starts.push_back(trial.record->started_at() + trial.record->run_id());
    }
  }
  std::sort(starts.begin(), starts.end());
  starts.erase(std::unique(starts.begin(), starts.end()), starts.end());
  return PanelPerComparison(
      comparisons,
      [&](const Comparison& comparison, Json* rows) {
        for (const ReportCell& cell : comparison.cells) {
          const auto median = FigureOf(cell, FigureByTag("samples_per_second"));
          if (!median.has_value() || cell.trials.size() < 2) continue;
          const std::vector<size_t> outliers = OutlierTrials(cell);
          for (size_t i = 0; i < cell.trials.size(); ++i) {
            const Trial& trial = cell.trials[i];
            if (!trial.summary.has_samples_per_second()) continue;
            const std::string start = trial.record->started_at() + trial.record->run_id();
            const bool outlier = std::find(outliers.begin(), outliers.end(), i) != outliers.end();
            Json row = RowOf(comparison, cell);
            row["run"] = std::lower_bound(starts.begin(), starts.end(), start) - starts.begin() + 1;
            row["trial"] = trial.key;
            row["percent"] = Rounded(100 * trial.summary.samples_per_second() / median->median);
            row["state"] = outlier                      ? "outlier"
                           : IsDisturbed(*trial.record) ? "disturbed"
                                                        : "as the others";
            rows->push_back(std::move(row));
          }
        }
      },
      "Drift shows between trials, and no cell has two finished ones.");
}

}  // namespace ringmaster
