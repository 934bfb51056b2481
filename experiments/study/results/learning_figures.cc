#include "experiments/study/results/learning_figures.h"

#include <optional>

#include "common/config/describe.h"
#include "experiments/study/results/figure_row.h"
#include "proto/run_record.pb.h"

namespace ringmaster {
namespace {

using Value = std::optional<double>;

constexpr char kOneModel[] = "rank 0, whose model is all workers'";

FigureOfRun SecondsTo(const char* threshold) {
  return [threshold](const RunSummary& s) { return ValueIn(s.seconds_to_accuracy(), threshold); };
}

Value FinalLoss(const RunSummary& s) {
  return s.has_final_loss() ? Value(s.final_loss()) : Value();
}

Value TestAccuracy(const RunSummary& s) {
  return s.has_test_accuracy() ? Value(s.test_accuracy()) : Value();
}

// Evaluations are merged into rank 0's.
Value TestLoss(const RunRecord& record) {
  if (!IsScored(record.spec())) return {};
  for (const ProcessReport& process : record.reports()) {
    for (const WorkerReport& worker : process.workers()) {
      if (worker.rank() != 0 || worker.evaluations().empty()) continue;
      return worker.evaluations().rbegin()->test_loss();
    }
  }
  return {};
}

}  // namespace

std::vector<Figure> LearningFigures() {
  using G = FigureGroup;
  return {
      Row("final_loss", "", kOneModel,
          "training loss over the samples with the first 60 000 labels, with the final weights")
          .Needs({Need::kLearning})
          .Value(FinalLoss)
          .Json()
          .Table(G::kLearning, 1, {"loss", "final", 4})
          .Report("final_loss", {"final loss", "", 4})
          .Sweep(OverTrials::kInterval, {"final loss", "", 4}),
      Row("test_accuracy", "", kOneModel,
          "share of the test set's labels predicted right by the last evaluation")
          .Needs({Need::kLearning})
          .Value(TestAccuracy)
          .Json()
          .Table(G::kLearning, 2, {"accuracy", "test %", 2, 100})
          .Report("test_accuracy", {"accuracy", "test %", 2, 100})
          .Sweep(OverTrials::kInterval, {"test accuracy %", "", 2, 100}),
      // In JSON these two are seconds_to_accuracy.
      Row("seconds_to_97", "s", kOneModel,
          "training until the first evaluation that reaches 97 %, not interpolated")
          .Needs({Need::kLearning, Need::kReached})
          .Value(SecondsTo("0.97"))
          .Table(G::kLearning, 3, {"to 97 %", "s", 1})
          .Report("seconds_to_97", {"to 97 %", "s", 2}),
      Row("seconds_to_98", "s", kOneModel,
          "training until the first evaluation that reaches 98 %, not interpolated")
          .Needs({Need::kLearning, Need::kReached})
          .Value(SecondsTo("0.98"))
          .Table(G::kLearning, 4, {"to 98 %", "s", 1})
          .Report("seconds_to_98", {"to 98 %", "s", 2}),
  };
}

std::vector<Figure> TestLossFigures() {
  return {
      Row("test_loss", "", kOneModel, "mean loss of the test set's labels at the last evaluation")
          .Needs({Need::kLearning})
          .Measured(TestLoss)
          .Json()
          .OnDemand(FigureGroup::kLearning, 21, {"loss", "test", 4})
          .Report("test_loss", {"test loss", "", 4})
          .Sweep(OverTrials::kInterval, {"test loss", "", 4}),
  };
}

}  // namespace ringmaster
