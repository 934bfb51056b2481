#ifndef RINGMASTER_EXPERIMENTS_STUDY_REPORT_FIGURES_H_
#define RINGMASTER_EXPERIMENTS_STUDY_REPORT_FIGURES_H_

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "experiments/study/report/comparisons.h"
#include "experiments/study/results/statistics.h"

namespace ringmaster {

// One figure of a run. Absent: not defined for the arm, or not measured.
using RunFigure = std::function<std::optional<double>(const Trial&)>;

struct FigureInfo {
  const char* id;     // "samples_per_second"
  const char* title;  // "samples/s"
  const char* unit;   // "" where the title says it
  int decimals;
  RunFigure of;
};

// Every figure that reports show of a cell, in the order of their columns.
absl::Span<const FigureInfo> Figures();

// The figure with that id, which must exist.
const FigureInfo& FigureById(absl::string_view id);

// Median and interval of a figure over the trials of a cell that have it; absent where none has. Pure.
std::optional<MedianInterval> FigureOf(const ReportCell& cell, const RunFigure& figure);

// One arm against another, trial by trial.
struct PairedFigure {
  const ReportCell* arm = nullptr;
  const ReportCell* base = nullptr;
  size_t pairs = 0;
  MedianInterval ratio;  // of samples/s, arm over base
  // One pair has no interval, so it tells nothing apart either.
  bool distinguishable() const { return pairs > 1 && (ratio.low > 1 || ratio.high < 1); }
};

// Every two arms of the comparison that have trials of one key; solo and single, which exchange nothing, stand as bases
// alone. Pure.
std::vector<PairedFigure> PairedFigures(const Comparison& comparison);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_REPORT_FIGURES_H_
