#include "experiments/program/cli/pace_table.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/check.h"
#include "common/config/describe.h"
#include "common/scheme/registry.h"
#include "experiments/program/cli/terminal.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {
namespace {

// 0: no step of it was timed.
double SamplesPerSecond(const RunSpec& spec, const Pace& pace) {
  if (pace.steps == 0) return 0;
  return static_cast<double>(pace.steps * GlobalBatch(spec)) / pace.seconds;
}

}  // namespace

bool IsTableRound(int64_t rounds) { return rounds > 0 && (rounds & (rounds - 1)) == 0; }

std::string PaceTable(const std::vector<RunSpec>& specs, const std::vector<ArmSoFar>& arms,
                      const RoundsSoFar& so_far) {
  RM_CHECK(specs.size() == arms.size() && !arms.empty());
  double ceiling = 0;
  size_t width = 3;
  for (size_t i = 0; i < specs.size(); ++i) {
    width = std::max(width, specs[i].name().size());
    if (TraitsOf(specs[i]).yardstick == Yardstick::kEfficiency)
      ceiling = SamplesPerSecond(specs[i], arms[i].pace);
  }
  std::string table = absl::StrCat(
      "so far, after ", so_far.rounds, so_far.rounds == 1 ? " turn" : " turns", " of each arm (",
      FormatSeconds(so_far.seconds), "); a table with all figures comes at the end\n");
  absl::StrAppendFormat(&table, "  %-*s  %11s  %10s  %10s  %8s  %8s", static_cast<int>(width),
                        "arm", "timed steps", "ms a step", "samples/s", "of solo", "loss");
  for (size_t i = 0; i < specs.size(); ++i) {
    const Pace& pace = arms[i].pace;
    absl::StrAppendFormat(&table, "\n  %-*s  %11d", static_cast<int>(width), specs[i].name(),
                          pace.steps);
    if (pace.steps == 0) continue;
    const double rate = SamplesPerSecond(specs[i], pace);
    absl::StrAppendFormat(&table, "  %10.2f  %10s  %8s", 1e3 * pace.seconds / pace.steps,
                          FormatCount(rate),
                          ceiling > 0 ? absl::StrFormat("%.0f %%", 100 * rate / ceiling) : "");
    if (arms[i].loss > 0) absl::StrAppendFormat(&table, "  %8.4f", arms[i].loss);
  }
  return table;
}

}  // namespace ringmaster
