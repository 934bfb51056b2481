#ifndef RINGMASTER_EXPERIMENTS_STUDY_REPORT_PLOT_H_
#define RINGMASTER_EXPERIMENTS_STUDY_REPORT_PLOT_H_

#include <string>

#include "absl/status/statusor.h"
#include "common/formats/json.h"

namespace ringmaster {

struct PlotOptions {
  int width = 760;            // of the figure, pixels
  bool dark = false;          // for dark paper
  std::string node = "node";  // the program Node.js, found on the PATH
};

// The chart (as ChartJson gives it, with the panels to draw) as an SVG document, by the embedded
// chart library in Node.js: the same specs that the page shows. `arms` is what ArmStyles gives.
// Blocks until Node.js has ended. FailedPrecondition: no chart library, no Node.js, or one too old,
// with what to do.
absl::StatusOr<std::string> PlotSvg(const Json& chart, const Json& arms,
                                    const PlotOptions& options);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_REPORT_PLOT_H_
