#ifndef RINGMASTER_EXPERIMENTS_STUDY_REPORT_CHART_LIBRARY_H_
#define RINGMASTER_EXPERIMENTS_STUDY_REPORT_CHART_LIBRARY_H_

#include "absl/status/status.h"

namespace ringmaster {

// The charting library as it was fetched at set-up (third_party/setup/fetch_vega.sh), embedded in
// the program: UMD builds for browsers, and their licence. Empty strings where it was built
// without.
struct ChartLibrary {
  const char* vega;        // 5.33.1
  const char* vega_lite;   // 5.23.0
  const char* vega_embed;  // 6.29.0
  const char* licence;     // of all three
};
const ChartLibrary& EmbeddedChartLibrary();

// Which versions, and under which licences, for people.
const char* ChartLibraryCredits();

// FailedPrecondition, with what to do: the program was built without.
absl::Status CheckChartLibrary();

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_REPORT_CHART_LIBRARY_H_
