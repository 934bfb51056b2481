// Rows of the charts of speed, and of where a step's time goes.

#include <algorithm>
#include <map>
#include <optional>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/formats/json.h"
#include "common/scheme/registry.h"
#include "common/trace/trace.h"
#include "experiments/study/report/caveats.h"
#include "experiments/study/report/chart_rows.h"
#include "experiments/study/report/figures.h"
#include "experiments/study/report/panels.h"
#include "experiments/study/report/spec_fields.h"
#include "experiments/study/results/statistics.h"
#include "experiments/study/results/summary.h"

namespace ringmaster {
namespace {

constexpr char kNothingFinished[] = "No run has finished, so there are no figures of speed.";

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

// What tells a comparison from the others apart from one field.
std::string LabelWithout(const Comparisons& comparisons, const Comparison& comparison,
                         const std::string& path) {
  std::vector<std::string> parts;
  for (const std::string& other : comparisons.differing) {
    const auto found = comparison.fields.find(other);
    if (other == path) continue;
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
      groups[LabelWithout(comparisons, comparison, path)].push_back(&comparison);
  }
  for (const auto& [label, group] : groups) {
    if (group.size() < 2) continue;
    Panel panel;
    panel.title = label.empty() ? path : absl::StrCat(path, " (", label, ")");
    for (const Comparison* comparison : group) {
      Json rows = Json::Array();
      FigureRows("samples_per_second", "samples_per_second")(*comparison, &rows);
      for (Json& row : rows) {
        row["value"] = *NumberOf(*comparison, path);
        panel.rows.push_back(std::move(row));
      }
    }
    if (!panel.rows.empty()) chart->panels.push_back(std::move(panel));
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

}  // namespace

ChartRows ScalingRows(const Comparisons& comparisons) {
  return PanelPerFamily(comparisons, FigureRows("samples_per_second", "samples_per_second"),
                        kNothingFinished);
}

ChartRows SweptRows(const Comparisons& comparisons) {
  ChartRows chart;
  for (const std::string& path : comparisons.differing) {
    if (path != "training.workers") AddSwept(comparisons, path, &chart);
  }
  if (chart.panels.empty()) {
    chart.missing =
        "No two comparisons with finished runs differ in one numeric setting alone, the number of "
        "workers left out. A sweep with an axis such as training.bucket_bytes makes some.";
  }
  return chart;
}

ChartRows EfficiencyRows(const Comparisons& comparisons) {
  return PanelPerFamily(comparisons, FigureRows("efficiency", "percent"),
                        "Efficiency is an arm's samples/s over solo's in the same comparison: no "
                        "comparison has a finished solo arm. Add solo to the arms and run again.");
}

ChartRows CostRows(const Comparisons& comparisons) {
  return PanelPerComparison(
      comparisons,
      [](const Comparison& comparison, Json* rows) {
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
      kNothingFinished);
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
          row["verdict"] = !pair.distinguishable() ? "not distinguishable"
                           : pair.ratio.low > 1    ? "faster"
                                                   : "slower";
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
                                                             {"hidden_comm_ms", "hidden"},
                                                             {"contention_ms", "contention"}};
        for (const ReportCell& cell : comparison.cells) {
          for (const auto& [id, kind] : kinds) {
            const auto figure = FigureOf(cell, FigureByTag(id));
            if (!figure.has_value()) continue;
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
          row["off_percent"] = Rounded(100 * (predicted->median / measured->median - 1));
          rows->push_back(std::move(row));
        }
      },
      "No run has a prediction. `ringmaster predict` and `ringmaster sweep --predict` keep one "
      "with what they measure.");
  for (Panel& panel : chart.panels) {
    double largest = 0;
    for (const Json& row : panel.rows) {
      largest = std::max({largest, row["predicted_ms"].number(), row["high"].number()});
    }
    for (const double predicted : {0.0, Rounded(1.1 * largest)}) {
      panel.rows.push_back({{"guide", true},
                            {"predicted_ms", predicted},
                            {"measured_ms", predicted},
                            {"low", 0.8 * predicted},
                            {"high", 1.2 * predicted}});
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
