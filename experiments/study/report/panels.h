#ifndef RINGMASTER_EXPERIMENTS_STUDY_REPORT_PANELS_H_
#define RINGMASTER_EXPERIMENTS_STUDY_REPORT_PANELS_H_

#include <functional>
#include <string>

#include "common/formats/json.h"
#include "experiments/study/report/chart_rows.h"
#include "experiments/study/report/comparisons.h"
#include "experiments/study/results/statistics.h"

namespace ringmaster {

struct Comparison;
struct Comparisons;
struct ReportCell;

// A value with few digits, so that pages stay small.
double Rounded(double value);

// {"arm": ..., "comparison": ...}: what every row begins with.
Json RowOf(const Comparison& comparison, const ReportCell& cell);

// Adds median, low and high under `name`, "low" and "high".
void AddInterval(const std::string& name, const MedianInterval& interval, Json* row);

// A panel for every comparison for which `add` gives rows; `missing` where none has any.
using AddRows = std::function<void(const Comparison& comparison, Json* rows)>;
ChartRows PanelPerComparison(const Comparisons& comparisons, const AddRows& add,
                             const std::string& missing);

// The same with a panel for every family.
ChartRows PanelPerFamily(const Comparisons& comparisons, const AddRows& add,
                         const std::string& missing);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_REPORT_PANELS_H_
