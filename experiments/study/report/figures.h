#ifndef RINGMASTER_EXPERIMENTS_STUDY_REPORT_FIGURES_H_
#define RINGMASTER_EXPERIMENTS_STUDY_REPORT_FIGURES_H_

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "experiments/study/report/comparisons.h"
#include "experiments/study/results/figures.h"
#include "experiments/study/results/statistics.h"

namespace ringmaster {

// A number of one run. Absent: not defined for the arm, or not measured.
using RunFigure = std::function<std::optional<double>(const Trial&)>;

// Median and interval over the trials of a cell that have the number; absent where none has. Pure.
std::optional<MedianInterval> FigureOf(const ReportCell& cell, const RunFigure& figure);

// The same of a figure of the catalogue that reports show, in the unit that they show it in.
std::optional<MedianInterval> FigureOf(const ReportCell& cell, const Figure& figure);

// The same of one worker or server, by its name ("worker/0").
std::optional<MedianInterval> FigureOfNode(const ReportCell& cell, const Figure& figure,
                                           const std::string& node);

// The figures of the catalogue that reports show of a cell, and those of them that they show of a
// worker or server, in the order of their columns.
std::vector<const Figure*> ReportFigures();
std::vector<const Figure*> ReportNodeFigures();

// Below it the bootstrap's interval is too narrow to call one arm faster.
inline constexpr size_t kPairsForVerdict = 6;

// One arm against another, trial by trial.
struct PairedFigure {
  const ReportCell* arm = nullptr;
  const ReportCell* base = nullptr;
  size_t pairs = 0;
  MedianInterval ratio;  // of samples/s, arm over base
  // "faster" or "slower" where the interval does not span 1, else "not distinguishable"; of fewer
  // than kPairsForVerdict pairs "fewer than 6 pairs".
  std::string verdict() const;
};

// Every two arms of the comparison that have trials of one key; solo and single, which exchange
// nothing, stand as bases alone. Pure.
std::vector<PairedFigure> PairedFigures(const Comparison& comparison);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_REPORT_FIGURES_H_
