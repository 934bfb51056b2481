#ifndef RINGMASTER_EXPERIMENTS_STUDY_REPORT_REPORT_H_
#define RINGMASTER_EXPERIMENTS_STUDY_REPORT_REPORT_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/formats/json.h"
#include "experiments/study/report/tables.h"

namespace ringmaster {

struct Comparisons;

// One chart with its data: {"id", "section", "title", "shows", "spec", "panels": [{"title",
// "rows"}], "missing"}. InvalidArgument, with the known ones: no chart of that id.
absl::StatusOr<Json> ChartJson(const Comparisons& comparisons, absl::string_view id);

// The page: one HTML file that needs nothing else. FailedPrecondition: this program was built
// without the chart library.
absl::StatusOr<std::string> ReportPage(const Comparisons& comparisons,
                                       const std::vector<ReportTable>& tables);

// The number of the comparison that the first screen of a page shows: of those with the most arms
// that have finished the one with the most workers; 0 where there is none. Pure.
int MainComparison(const Comparisons& comparisons);

// The one sentence that a reader must have seen before any figure: what gives the most reason to
// doubt them (a machine that was not quiet, failed runs, outliers and drift, too few trials for a
// verdict), and how many doubts stand further below. Empty: there is no reason. Pure.
std::string FirstDoubt(const Comparisons& comparisons);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_REPORT_REPORT_H_
