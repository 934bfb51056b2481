#include "experiments/study/report/chart_library.h"

#include "absl/strings/str_cat.h"
#include "common/machine/checkout.h"

namespace ringmaster {

const char* ChartLibraryCredits() {
  return "Charts by Vega 5.33.1, Vega-Lite 5.23.0 and Vega-Embed 6.29.0 (BSD 3-Clause, University "
         "of Washington Interactive Data Lab). These contain D3 modules (ISC and BSD 3-Clause, "
         "Mike Bostock), topojson-client (ISC, Mike Bostock), fast-json-patch (MIT, Joachim "
         "Wester), json-stringify-pretty-compact (MIT, Simon Lydell) and semver (ISC, Isaac Z. "
         "Schlueter and contributors).";
}

absl::Status CheckChartLibrary() {
  if (EmbeddedChartLibrary().vega[0] != '\0') return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "this program was built without the chart library (Vega-Lite)",
      IsInCheckout() ? ": run third_party/setup/fetch_vega.sh ~/.cache/ringmaster/vega, or ./run "
                       "on a machine with a network, and build again"
                     : ", and draws no charts",
      "; --format md, csv, json and latex work without it"));
}

}  // namespace ringmaster
