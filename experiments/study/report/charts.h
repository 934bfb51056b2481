#ifndef RINGMASTER_EXPERIMENTS_STUDY_REPORT_CHARTS_H_
#define RINGMASTER_EXPERIMENTS_STUDY_REPORT_CHARTS_H_

#include <string>
#include <vector>

#include "absl/types/span.h"
#include "common/formats/json.h"
#include "experiments/study/report/chart_rows.h"

namespace ringmaster {

struct Comparisons;

// A chart of reports: rows, and a Vega-Lite spec that says how they are drawn.
struct ChartInfo {
  const char* id;       // as `plot` names it
  const char* section;  // heading of the page under which it stands
  const char* title;
  const char* shows;  // what to see in it, one or two sentences
  const char* spec;   // Vega-Lite, without data; experiments/study/report/charts
  ChartRows (*rows)(const Comparisons& comparisons);
  // The spec of a panel whose rows have one number of workers; null: the same.
  const char* spec_of_one = nullptr;
};

// All charts, in the order of the page.
absl::Span<const ChartInfo> Charts();

// A color for every arm of the report, as JSON: [{"name", "color", "shape"}]. An arm that `list`
// knows has one color for good; others take those that are left. In every chart an arm has this
// color.
Json ArmStyles(const std::vector<std::string>& arms);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_REPORT_CHARTS_H_
