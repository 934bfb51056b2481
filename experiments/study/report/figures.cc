#include "experiments/study/report/figures.h"

#include <algorithm>
#include <map>

#include "common/base/check.h"
#include "common/scheme/registry.h"
#include "common/trace/trace.h"
#include "experiments/study/results/summary.h"

namespace ringmaster {
namespace {

// A field of RunSummary that is optional, times a factor.
#define RM_FIELD(field, factor)                                                     \
  [](const Trial& trial) -> std::optional<double> {                                 \
    if (!trial.summary.has_##field()) return std::nullopt;                          \
    return static_cast<double>(trial.summary.field()) * (factor);                   \
  }

RunFigure Phases(std::vector<Phase> phases) {
  return [phases = std::move(phases)](const Trial& trial) -> std::optional<double> {
    if (!trial.summary.has_step_ms_p50()) return std::nullopt;
    double sum = 0;
    for (const Phase phase : phases) sum += PhaseMs(trial.summary, PhaseName(phase));
    return sum;
  };
}

RunFigure SpeedOver(double (*count)(const RunSummary&)) {
  return [count](const Trial& trial) -> std::optional<double> {
    if (!trial.summary.has_samples_per_second() || count(trial.summary) <= 0) return std::nullopt;
    return trial.summary.samples_per_second() / count(trial.summary);
  };
}

RunFigure SecondsTo(const char* threshold) {
  return [threshold](const Trial& trial) -> std::optional<double> {
    const auto found = trial.summary.seconds_to_accuracy().find(threshold);
    if (found == trial.summary.seconds_to_accuracy().end()) return std::nullopt;
    return found->second;
  };
}

// One worker computes everything in a single run, whatever N says of its micro-batches.
double WorkersThatCompute(const RunSummary& summary) {
  return summary.strategy() == "single" ? 1 : static_cast<double>(summary.workers());
}

std::optional<double> PredictedStepMs(const Trial& trial) {
  if (trial.record->has_prediction()) return trial.record->prediction().step_ms();
  if (trial.summary.has_predicted_step_ms()) return trial.summary.predicted_step_ms();
  return std::nullopt;
}

std::vector<FigureInfo> MakeFigures() {
  return {
      {"samples_per_second", "samples/s", "", 0, RM_FIELD(samples_per_second, 1)},
      {"samples_per_second_per_worker", "per worker", "samples/s", 0, SpeedOver(WorkersThatCompute)},
      {"samples_per_second_per_node", "per process", "samples/s", 0,
       SpeedOver([](const RunSummary& summary) { return static_cast<double>(summary.processes()); })},
      {"speed_up_over_single", "speed-up", "× single", 2, RM_FIELD(speed_up_over_single, 1)},
      {"efficiency", "efficiency", "% of solo", 1, RM_FIELD(efficiency, 100)},
      {"step_ms_p50", "step p50", "ms", 2, RM_FIELD(step_ms_p50, 1)},
      {"step_ms_p95", "step p95", "ms", 2, RM_FIELD(step_ms_p95, 1)},
      {"predicted_step_ms", "predicted step", "ms", 2, PredictedStepMs},
      {"compute_ms", "compute", "ms", 2, Phases({Phase::kForward, Phase::kBackward})},
      {"gate_ms", "gate", "ms", 2, Phases({Phase::kGate})},
      {"exposed_comm_ms", "exposed", "ms", 2, RM_FIELD(exposed_comm_ms, 1)},
      {"hidden_comm_ms", "hidden", "ms", 2, RM_FIELD(hidden_comm_ms, 1)},
      {"contention_ms", "contention", "ms", 2, RM_FIELD(contention_ms, 1)},
      {"update_ms", "update", "ms", 2, Phases({Phase::kUpdate})},
      {"kilobytes_up_per_step", "up", "kB/step", 1, RM_FIELD(bytes_up_per_step, 1e-3)},
      {"kilobytes_down_per_step", "down", "kB/step", 1, RM_FIELD(bytes_down_per_step, 1e-3)},
      {"staleness_mean", "staleness", "mean", 2, RM_FIELD(staleness_mean, 1)},
      {"staleness_max", "staleness", "max", 0, RM_FIELD(staleness_max, 1)},
      {"final_loss", "final loss", "", 4, RM_FIELD(final_loss, 1)},
      {"test_accuracy", "accuracy", "test %", 2, RM_FIELD(test_accuracy, 100)},
      {"seconds_to_97", "to 97 %", "s", 2, SecondsTo("0.97")},
      {"seconds_to_98", "to 98 %", "s", 2, SecondsTo("0.98")},
  };
}
#undef RM_FIELD

bool ExchangesNothing(const ReportCell& cell) { return !TraitsOf(cell.spec).exchanges; }

}  // namespace

absl::Span<const FigureInfo> Figures() {
  static const auto& figures = *new std::vector<FigureInfo>(MakeFigures());
  return figures;
}

const FigureInfo& FigureById(absl::string_view id) {
  const auto figures = Figures();
  const auto found = std::find_if(figures.begin(), figures.end(), [&](const FigureInfo& info) { return info.id == id; });
  RM_CHECK(found != figures.end());
  return *found;
}

std::optional<MedianInterval> FigureOf(const ReportCell& cell, const RunFigure& figure) {
  std::vector<double> values;
  for (const Trial& trial : cell.trials) {
    if (const auto value = figure(trial)) values.push_back(*value);
  }
  if (values.empty()) return std::nullopt;
  return BootstrapMedian(values);
}

std::vector<PairedFigure> PairedFigures(const Comparison& comparison) {
  const RunFigure& speed = FigureById("samples_per_second").of;
  std::vector<PairedFigure> figures;
  for (const ReportCell& arm : comparison.cells) {
    if (ExchangesNothing(arm)) continue;
    for (const ReportCell& base : comparison.cells) {
      // Each two once: the later arm over the earlier.
      if (&base >= &arm && !ExchangesNothing(base)) continue;
      std::map<std::string, double> speeds;
      for (const Trial& trial : base.trials) {
        if (const auto value = speed(trial)) speeds[trial.key] = *value;
      }
      std::vector<double> ours, theirs;
      for (const Trial& trial : arm.trials) {
        const auto found = speeds.find(trial.key);
        if (found == speeds.end() || !speed(trial).has_value()) continue;
        ours.push_back(found->second);
        theirs.push_back(*speed(trial));
      }
      if (!ours.empty()) figures.push_back({&arm, &base, ours.size(), PairedRatio(ours, theirs)});
    }
  }
  return figures;
}

}  // namespace ringmaster
