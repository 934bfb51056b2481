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

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_REPORT_REPORT_H_
