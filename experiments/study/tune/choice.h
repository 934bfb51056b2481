#ifndef RINGMASTER_EXPERIMENTS_STUDY_TUNE_CHOICE_H_
#define RINGMASTER_EXPERIMENTS_STUDY_TUNE_CHOICE_H_

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "experiments/study/tune/grid.h"

namespace ringmaster {

// What an arm learned at one point of the grid: its final training loss. Absent: it diverged.
using PointLoss = std::optional<double>;

struct Choice {
  size_t point = 0;           // index of GridPoints
  std::vector<bool> at_edge;  // by field
};

// The point with the smallest final training loss; of equal ones the first. A point that diverged,
// or whose loss is not finite, is worse than any other. Training loss and not test accuracy: it is
// finer than accuracy, which has ties after a short budget, and nothing is chosen by the test set
// on which the arms are judged afterwards. A field is at its edge where it is ordered and the best
// value is the first or last of it. Absent: every point diverged. `losses` are by point of
// `fields`. Pure.
std::optional<Choice> ChooseBest(absl::Span<const GridField> fields,
                                 absl::Span<const PointLoss> losses);

// Whether the status of a failed run ("CODE: message") says that it diverged: a loss, weight or
// gradient that is not finite. Any other failure says nothing about the settings. Pure.
bool IsDivergence(absl::string_view status);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_TUNE_CHOICE_H_
