#include "experiments/study/report/chart_library.h"

namespace ringmaster {

const ChartLibrary& EmbeddedChartLibrary() {
  static constexpr char kVega[] =
#include "experiments/study/report/vega.inc"
      ;
  static constexpr char kVegaLite[] =
#include "experiments/study/report/vega-lite.inc"
      ;
  static constexpr char kVegaEmbed[] =
#include "experiments/study/report/vega-embed.inc"
      ;
  static constexpr char kLicence[] =
#include "experiments/study/report/licence.inc"
      ;
  static constexpr ChartLibrary kLibrary = {kVega, kVegaLite, kVegaEmbed, kLicence};
  return kLibrary;
}

}  // namespace ringmaster
