#include "experiments/study/report/figures.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "common/scheme/registry.h"
#include "proto/record.pb.h"

namespace ringmaster {
namespace {

bool ExchangesNothing(const ReportCell& cell) { return !TraitsOf(cell.spec).exchanges; }

}  // namespace

std::optional<MedianInterval> FigureOf(const ReportCell& cell, const RunFigure& figure) {
  std::vector<double> values;
  for (const Trial& trial : cell.trials) {
    if (const auto value = figure(trial)) values.push_back(*value);
  }
  if (values.empty()) return std::nullopt;
  return BootstrapMedian(values);
}

std::optional<MedianInterval> FigureOf(const ReportCell& cell, const Figure& figure) {
  const double factor = figure.report->format.factor;
  return FigureOf(cell, [&](const Trial& trial) -> std::optional<double> {
    const std::optional<double> value = figure.value(trial.summary);
    return value.has_value() ? std::optional<double>(*value * factor) : std::nullopt;
  });
}

std::optional<MedianInterval> FigureOfNode(const ReportCell& cell, const Figure& figure,
                                           const std::string& node) {
  const double factor = figure.report->format.factor;
  return FigureOf(cell, [&](const Trial& trial) -> std::optional<double> {
    for (const NodeFigures& of : trial.summary.nodes()) {
      const auto found = of.figures().find(figure.tag);
      if (of.node() == node && found != of.figures().end()) return found->second * factor;
    }
    return std::nullopt;
  });
}

std::vector<const Figure*> ReportFigures() {
  std::vector<const Figure*> figures;
  for (const Figure& figure : Figures()) {
    if (figure.report.has_value()) figures.push_back(&figure);
  }
  return figures;
}

std::vector<const Figure*> ReportNodeFigures() {
  std::vector<const Figure*> figures;
  for (const Figure* figure : ReportFigures()) {
    if (figure->of_node != nullptr) figures.push_back(figure);
  }
  return figures;
}

std::string PairedFigure::verdict() const {
  if (pairs < kPairsForVerdict) return absl::StrCat("fewer than ", kPairsForVerdict, " pairs");
  if (ratio.low > 1) return "faster";
  return ratio.high < 1 ? "slower" : "not distinguishable";
}

std::vector<PairedFigure> PairedFigures(const Comparison& comparison) {
  const auto speed = [](const Trial& trial) {
    return FigureByTag("samples_per_second").value(trial.summary);
  };
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
