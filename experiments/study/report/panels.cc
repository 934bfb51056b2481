#include "experiments/study/report/panels.h"

#include <cmath>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/formats/json.h"
#include "experiments/study/report/comparisons.h"
#include "experiments/study/report/spec_fields.h"

namespace ringmaster {
namespace {

// A family by what tells it from the others: the comparison's label without the number of workers.
std::string FamilyLabel(const Comparisons& comparisons, const Comparison& comparison) {
  std::vector<std::string> parts;
  for (const std::string& path : comparisons.differing) {
    if (path == "training.workers") continue;
    // Where an epoch is fewer steps of more workers, the family has no number of steps.
    bool common = true;
    for (const Comparison& other : comparisons.all) {
      if (other.family != comparison.family) continue;
      const auto a = comparison.fields.find(path), b = other.fields.find(path);
      common = common && (a == comparison.fields.end()) == (b == other.fields.end()) &&
               (a == comparison.fields.end() || a->second == b->second);
    }
    const auto found = comparison.fields.find(path);
    if (common) {
      parts.push_back(absl::StrCat(ShortFieldName(path), " = ",
                                   found == comparison.fields.end() ? "not set" : found->second));
    }
  }
  return absl::StrJoin(parts, ", ");
}

ChartRows WithReason(ChartRows chart, const std::string& missing) {
  if (chart.panels.empty()) chart.missing = missing;
  return chart;
}

}  // namespace

double Rounded(double value) {
  if (value == 0 || !std::isfinite(value)) return value;
  const double scale = std::pow(10.0, 4 - std::floor(std::log10(std::abs(value))));
  return std::round(value * scale) / scale;
}

Json RowOf(const Comparison& comparison, const ReportCell& cell) {
  return {{"arm", cell.arm}, {"comparison", comparison.number}};
}

void AddInterval(const std::string& name, const MedianInterval& interval, Json* row) {
  (*row)[name] = Rounded(interval.median);
  (*row)["low"] = Rounded(interval.low);
  (*row)["high"] = Rounded(interval.high);
}

ChartRows PanelPerComparison(const Comparisons& comparisons, const AddRows& add,
                             const std::string& missing) {
  ChartRows chart;
  for (const Comparison& comparison : comparisons.all) {
    Panel panel;
    panel.title = comparison.label;
    add(comparison, &panel.rows);
    if (!panel.rows.empty()) chart.panels.push_back(std::move(panel));
  }
  return WithReason(std::move(chart), missing);
}

ChartRows PanelPerFamily(const Comparisons& comparisons, const AddRows& add,
                         const std::string& missing) {
  std::map<int, Panel> families;
  for (const Comparison& comparison : comparisons.all) {
    Panel& panel = families[comparison.family];
    panel.title = FamilyLabel(comparisons, comparison);
    add(comparison, &panel.rows);
  }
  ChartRows chart;
  for (auto& [family, panel] : families) {
    if (!panel.rows.empty()) chart.panels.push_back(std::move(panel));
  }
  return WithReason(std::move(chart), missing);
}

}  // namespace ringmaster
