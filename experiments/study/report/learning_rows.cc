// Rows of the charts of loss and accuracy. Solo trains N models that know nothing of each other, so
// it has none.

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/config/describe.h"
#include "common/formats/json.h"
#include "experiments/study/report/chart_rows.h"
#include "experiments/study/report/comparisons.h"
#include "experiments/study/report/panels.h"
#include "experiments/study/results/statistics.h"
#include "experiments/study/results/figures.h"
#include "proto/run_record.pb.h"

namespace ringmaster {
namespace {

constexpr size_t kLossPoints = 100;  // of a curve; each the mean of the steps since the one before

bool Learns(const ReportCell& cell) { return IsScored(cell.spec); }

struct LossPoint {
  double seconds = 0;
  double loss = 0;
};

// The mean of all workers' losses over windows of steps, with the time of rank 0 at each window's
// end.
std::vector<LossPoint> LossCurve(const RunRecord& record, size_t points) {
  std::vector<const WorkerReport*> workers;
  for (const ProcessReport& process : record.reports()) {
    for (const WorkerReport& worker : process.workers()) workers.push_back(&worker);
  }
  std::sort(workers.begin(), workers.end(),
            [](const WorkerReport* a, const WorkerReport* b) { return a->rank() < b->rank(); });
  std::vector<LossPoint> curve;
  if (workers.empty()) return curve;
  size_t steps = workers[0]->step_ms_size();
  for (const WorkerReport* worker : workers)
    steps = std::min<size_t>(steps, worker->step_loss_size());
  double seconds = 0;
  for (size_t point = 0; point < points; ++point) {
    const size_t begin = point * steps / points, end = (point + 1) * steps / points;
    if (begin == end) continue;
    double loss = 0;
    for (size_t step = begin; step < end; ++step) {
      seconds += workers[0]->step_ms(static_cast<int>(step)) / 1000;
      for (const WorkerReport* worker : workers) loss += worker->step_loss(static_cast<int>(step));
    }
    curve.push_back({seconds, loss / static_cast<double>((end - begin) * workers.size())});
  }
  return curve;
}

void AddLoss(const Comparison& comparison, const ReportCell& cell, Json* rows) {
  const size_t steps = cell.spec.training().steps();
  const size_t points = std::min(kLossPoints, steps);
  std::vector<std::vector<LossPoint>> curves;
  for (const Trial& trial : cell.trials) {
    curves.push_back(LossCurve(*trial.record, points));
    if (curves.back().size() != points) curves.pop_back();
  }
  if (curves.empty()) return;
  for (size_t point = 0; point < points; ++point) {
    std::vector<double> seconds, losses;
    for (const auto& curve : curves) {
      seconds.push_back(curve[point].seconds);
      losses.push_back(curve[point].loss);
    }
    Json row = RowOf(comparison, cell);
    row["samples"] = static_cast<int64_t>((point + 1) * steps / points) * GlobalBatch(cell.spec);
    row["seconds"] = Rounded(Median(seconds));
    row["loss"] = Rounded(Median(losses));
    row["low"] = Rounded(*std::min_element(losses.begin(), losses.end()));
    row["high"] = Rounded(*std::max_element(losses.begin(), losses.end()));
    rows->push_back(std::move(row));
  }
}

const WorkerReport* FirstWorker(const RunRecord& record) {
  for (const ProcessReport& process : record.reports()) {
    for (const WorkerReport& worker : process.workers()) {
      if (worker.rank() == 0) return &worker;
    }
  }
  return nullptr;
}

void AddAccuracy(const Comparison& comparison, const ReportCell& cell, Json* rows) {
  std::vector<const WorkerReport*> workers;
  int count = 0;
  for (const Trial& trial : cell.trials) {
    const WorkerReport* worker = FirstWorker(*trial.record);
    if (worker == nullptr || worker->evaluations_size() == 0) continue;
    count =
        workers.empty() ? worker->evaluations_size() : std::min(count, worker->evaluations_size());
    workers.push_back(worker);
  }
  for (int i = 0; i < count; ++i) {
    std::vector<double> seconds, accuracies;
    for (const WorkerReport* worker : workers) {
      seconds.push_back(worker->evaluations(i).seconds());
      accuracies.push_back(100 * worker->evaluations(i).test_accuracy());
    }
    Json row = RowOf(comparison, cell);
    row["samples"] = workers.front()->evaluations(i).samples_seen();
    row["seconds"] = Rounded(Median(seconds));
    row["percent"] = Rounded(Median(accuracies));
    row["low"] = Rounded(*std::min_element(accuracies.begin(), accuracies.end()));
    row["high"] = Rounded(*std::max_element(accuracies.begin(), accuracies.end()));
    rows->push_back(std::move(row));
  }
}

// The highest accuracy of an evaluation, of the trial in the middle; absent: none was evaluated.
std::optional<double> BestAccuracy(const ReportCell& cell) {
  std::vector<double> best;
  for (const Trial& trial : cell.trials) {
    const WorkerReport* worker = FirstWorker(*trial.record);
    if (worker == nullptr || worker->evaluations_size() == 0) continue;
    double highest = 0;
    for (const Evaluation& evaluation : worker->evaluations())
      highest = std::max(highest, evaluation.test_accuracy());
    best.push_back(highest);
  }
  return best.empty() ? std::nullopt : std::optional<double>(Median(best));
}

// Seconds until the first evaluation that reaches it, of the trials that do.
std::vector<double> SecondsTo(double accuracy, const ReportCell& cell) {
  std::vector<double> seconds;
  for (const Trial& trial : cell.trials) {
    const WorkerReport* worker = FirstWorker(*trial.record);
    if (worker == nullptr) continue;
    const auto reached = std::find_if(
        worker->evaluations().begin(), worker->evaluations().end(),
        [&](const Evaluation& evaluation) { return evaluation.test_accuracy() >= accuracy; });
    if (reached != worker->evaluations().end()) seconds.push_back(reached->seconds());
  }
  return seconds;
}

// The accuracies that a race is worth: of those that are always reported the ones that some arm
// reaches, or else the highest whole percent that all reach.
std::vector<double> Targets(const std::vector<const ReportCell*>& cells) {
  std::vector<double> targets;
  for (const AccuracyThreshold& threshold : AccuracyThresholds()) {
    const auto reaches = [&](const ReportCell* cell) {
      return !SecondsTo(threshold.accuracy, *cell).empty();
    };
    if (std::any_of(cells.begin(), cells.end(), reaches)) targets.push_back(threshold.accuracy);
  }
  if (!targets.empty() || cells.empty()) return targets;
  double common = 1;
  for (const ReportCell* cell : cells) common = std::min(common, *BestAccuracy(*cell));
  // A hair more, since 0.29 is less than 29 hundredths.
  const double percent = std::floor(100 * common + 1e-9);
  return percent < 1 ? targets : std::vector<double>{percent / 100};
}

void AddTimesToAccuracy(const Comparison& comparison, Json* rows) {
  std::vector<const ReportCell*> cells;
  for (const ReportCell& cell : comparison.cells) {
    if (Learns(cell) && BestAccuracy(cell).has_value()) cells.push_back(&cell);
  }
  for (const double target : Targets(cells)) {
    for (const ReportCell* cell : cells) {
      const std::vector<double> seconds = SecondsTo(target - 1e-12, *cell);
      Json row = RowOf(comparison, *cell);
      row["accuracy"] = absl::StrFormat("%g %%", 100 * target);
      AddInterval("seconds", seconds.empty() ? MedianInterval{} : BootstrapMedian(seconds), &row);
      row["reached"] = absl::StrCat(seconds.size(), " of ", cell->trials.size(), " trials");
      if (seconds.empty()) row["unreached"] = true;
      rows->push_back(std::move(row));
    }
  }
}

// Rows of the cells that learn.
AddRows OfLearners(void (*add)(const Comparison&, const ReportCell&, Json*)) {
  return [add](const Comparison& comparison, Json* rows) {
    for (const ReportCell& cell : comparison.cells) {
      if (Learns(cell)) add(comparison, cell, rows);
    }
  };
}

}  // namespace

ChartRows LossRows(const Comparisons& comparisons) {
  return PanelPerComparison(
      comparisons, OfLearners(AddLoss),
      "No run that learns has finished: solo trains separate models, and emulated compute none.");
}

ChartRows AccuracyRows(const Comparisons& comparisons) {
  return PanelPerComparison(comparisons, OfLearners(AddAccuracy),
                            "No finished run that learns was evaluated.");
}

ChartRows TimeToAccuracyRows(const Comparisons& comparisons) {
  return PanelPerComparison(
      comparisons, AddTimesToAccuracy,
      "No finished run that learns was evaluated, or none predicts a single label in a hundred.");
}

}  // namespace ringmaster
