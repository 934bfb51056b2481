// Rows of the charts of what goes over the wire and how stale it is when it comes.

#include <algorithm>
#include <map>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/formats/json.h"
#include "common/scheme/registry.h"
#include "experiments/program/run/run_needs.h"
#include "experiments/study/report/chart_rows.h"
#include "experiments/study/report/comparisons.h"
#include "experiments/study/report/figures.h"
#include "experiments/study/report/panels.h"
#include "proto/run_record.pb.h"

namespace ringmaster {
namespace {

constexpr int64_t kStalenessMax = 16;  // what is staler counts as one bar
constexpr char kNothingMetered[] = "No arm that exchanges metered bytes has finished.";

// Bytes that a worker sends and receives in a step by the formula, the mean of all workers and of
// all steps of the run; absent where there is none, or where the data set's files, which say how
// large the model is, are not here.
std::optional<double> FormulaBytes(const RunSpec& spec) {
  if (!TraitsOf(spec).exchanges) return std::nullopt;
  const auto layout = LayoutOf(spec);
  if (!layout.ok()) return std::nullopt;
  const int64_t steps = spec.training().steps();
  double sum = 0;
  for (int32_t rank = 0; rank < spec.training().workers(); ++rank) {
    const auto traffic = RunTrafficOf(spec, *layout, {Role::kWorker, rank}, steps);
    if (!traffic.ok()) return std::nullopt;
    sum += static_cast<double>(traffic->sent + traffic->received);
  }
  return sum / static_cast<double>(spec.training().workers() * steps);
}

std::optional<double> MeteredBytes(const Trial& trial) {
  if (!TraitsOf(trial.record->spec()).exchanges) return std::nullopt;
  // The formula knows of no step that was made again, nor of a group that has lost a worker.
  if (trial.record->losses_size() > 0) return std::nullopt;
  const RunSummary& summary = trial.summary;
  if (!summary.has_bytes_up_per_step()) return std::nullopt;
  return summary.bytes_up_per_step() + summary.bytes_down_per_step();
}

// Seconds from the first step to the end of each, of the run's first worker.
std::vector<double> StepEnds(const RunRecord& record) {
  std::vector<double> ends;
  for (const ProcessReport& process : record.reports()) {
    for (const WorkerReport& worker : process.workers()) {
      if (worker.rank() != 0) continue;
      double seconds = 0;
      for (const float step_ms : worker.step_ms()) ends.push_back(seconds += step_ms / 1000);
    }
  }
  return ends;
}

void AddBytesOverTime(const Comparison& comparison, const ReportCell& cell, Json* rows) {
  constexpr size_t kPoints = 40;
  if (cell.trials.empty()) return;
  const Trial& trial = cell.trials.front();
  const auto metered = MeteredBytes(trial);
  const std::vector<double> ends = StepEnds(*trial.record);
  if (!metered.has_value() || ends.empty()) return;
  const auto add = [&](const char* source, size_t steps, double bytes_per_step) {
    Json row = RowOf(comparison, cell);
    row["source"] = source;
    row["seconds"] = steps == 0 ? 0 : Rounded(ends[steps - 1]);
    row["megabytes"] = Rounded(static_cast<double>(steps) * bytes_per_step / 1e6);
    rows->push_back(std::move(row));
  };
  if (const auto formula = FormulaBytes(cell.spec)) {
    const size_t points = std::min(kPoints, ends.size());
    for (size_t i = 0; i <= points; ++i) add("formula", i * ends.size() / points, *formula);
  }
  add("metered", ends.size(), *metered);
}

void AddStaleness(const Comparison& comparison, const ReportCell& cell, Json* rows) {
  std::map<int64_t, int64_t> counts;
  int64_t total = 0;
  for (const Trial& trial : cell.trials) {
    for (const ProcessReport& process : trial.record->reports()) {
      for (const ServerReport& server : process.servers()) {
        for (int s = 0; s < server.staleness_histogram_size(); ++s) {
          counts[std::min<int64_t>(s, kStalenessMax)] += server.staleness_histogram(s);
          total += server.staleness_histogram(s);
        }
      }
    }
  }
  for (const auto& [staleness, count] : counts) {
    if (count == 0) continue;
    Json row = RowOf(comparison, cell);
    row["staleness"] = staleness;
    row["label"] =
        staleness == kStalenessMax ? absl::StrCat(staleness, " or more") : absl::StrCat(staleness);
    row["percent"] = Rounded(100.0 * static_cast<double>(count) / static_cast<double>(total));
    row["contributions"] = count;
    rows->push_back(std::move(row));
  }
}

}  // namespace

ChartRows PayloadRows(const Comparisons& comparisons) {
  return PanelPerFamily(
      comparisons,
      [](const Comparison& comparison, Json* rows) {
        for (const ReportCell& cell : comparison.cells) {
          const auto metered = FigureOf(cell, MeteredBytes);
          if (!metered.has_value()) continue;
          Json row = RowOf(comparison, cell);
          row["N"] = comparison.workers();
          row["kilobytes"] = Rounded(metered->median / 1e3);
          if (const auto formula = FormulaBytes(cell.spec))
            row["formula_kilobytes"] = Rounded(*formula / 1e3);
          rows->push_back(std::move(row));
        }
      },
      kNothingMetered);
}

ChartRows BytesRows(const Comparisons& comparisons) {
  return PanelPerComparison(
      comparisons,
      [](const Comparison& comparison, Json* rows) {
        for (const ReportCell& cell : comparison.cells) AddBytesOverTime(comparison, cell, rows);
      },
      kNothingMetered);
}

ChartRows StalenessRows(const Comparisons& comparisons) {
  return PanelPerComparison(
      comparisons,
      [](const Comparison& comparison, Json* rows) {
        for (const ReportCell& cell : comparison.cells) AddStaleness(comparison, cell, rows);
      },
      "Staleness is counted by servers, and no arm with a server has finished.");
}

}  // namespace ringmaster
