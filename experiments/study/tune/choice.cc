#include "experiments/study/tune/choice.h"

#include <cmath>

#include "absl/strings/match.h"
#include "common/base/check.h"

namespace ringmaster {

std::optional<Choice> ChooseBest(absl::Span<const GridField> fields,
                                 absl::Span<const PointLoss> losses) {
  const std::vector<GridPoint> points = GridPoints(fields);
  RM_CHECK(points.size() == losses.size());
  std::optional<size_t> best;
  for (size_t i = 0; i < losses.size(); ++i) {
    if (!losses[i].has_value() || !std::isfinite(*losses[i])) continue;
    if (!best.has_value() || *losses[i] < *losses[*best]) best = i;
  }
  if (!best.has_value()) return std::nullopt;
  Choice choice;
  choice.point = *best;
  for (size_t field = 0; field < fields.size(); ++field) {
    const size_t value = points[*best][field];
    choice.at_edge.push_back(fields[field].is_ordered &&
                             (value == 0 || value + 1 == fields[field].values.size()));
  }
  return choice;
}

bool IsDivergence(absl::string_view status) {
  return absl::StartsWith(status, "OUT_OF_RANGE:") || absl::StrContains(status, " is not finite: ");
}

}  // namespace ringmaster
