#include "experiments/report/chart_library.h"

namespace ringmaster {

const ChartLibrary& EmbeddedChartLibrary() {
  static constexpr char kVega[] =
#include "experiments/report/vega.inc"
      ;
  static constexpr char kVegaLite[] =
#include "experiments/report/vega-lite.inc"
      ;
  static constexpr char kVegaEmbed[] =
#include "experiments/report/vega-embed.inc"
      ;
  static constexpr char kLicence[] =
#include "experiments/report/licence.inc"
      ;
  static constexpr ChartLibrary kLibrary = {kVega, kVegaLite, kVegaEmbed, kLicence};
  return kLibrary;
}

}  // namespace ringmaster
