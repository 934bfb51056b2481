// Rows of the charts of loss and accuracy. Solo trains N models that know nothing of each other, so
// it has none.

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/config/describe.h"
#include "common/formats/json.h"
#include "experiments/study/report/chart_rows.h"
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

void AddTimeToAccuracy(const Comparison& comparison, const ReportCell& cell, Json* rows) {
  for (const AccuracyThreshold& threshold : AccuracyThresholds()) {
    std::vector<double> seconds;
    for (const Trial& trial : cell.trials) {
      const auto found = trial.summary.seconds_to_accuracy().find(threshold.name);
      if (found != trial.summary.seconds_to_accuracy().end()) seconds.push_back(found->second);
    }
    if (seconds.empty()) continue;
    Json row = RowOf(comparison, cell);
    row["accuracy"] = absl::StrFormat("%g %%", 100 * threshold.accuracy);
    AddInterval("seconds", BootstrapMedian(seconds), &row);
    row["reached"] = absl::StrCat(seconds.size(), " of ", cell.trials.size(), " trials");
    rows->push_back(std::move(row));
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
  double best = -1;
  for (const Comparison& comparison : comparisons.all) {
    for (const ReportCell& cell : comparison.cells) {
      for (const Trial& trial : cell.trials) {
        const WorkerReport* worker = Learns(cell) ? FirstWorker(*trial.record) : nullptr;
        if (worker == nullptr) continue;
        for (const Evaluation& evaluation : worker->evaluations())
          best = std::max(best, 100 * evaluation.test_accuracy());
      }
    }
  }
  const std::string missing = best < 0 ? std::string("No finished run that learns was evaluated.")
                                       : absl::StrFormat(
                                             "No run reached a test accuracy of %g %%; the best "
                                             "reached %.1f %%. Train for more steps.",
                                             100 * AccuracyThresholds().front().accuracy, best);
  return PanelPerComparison(comparisons, OfLearners(AddTimeToAccuracy), missing);
}

}  // namespace ringmaster
