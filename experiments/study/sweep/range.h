#ifndef RINGMASTER_EXPERIMENTS_STUDY_SWEEP_RANGE_H_
#define RINGMASTER_EXPERIMENTS_STUDY_SWEEP_RANGE_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace ringmaster {

// Numbers from `from` up to `to` at most, each `step` more or `factor` times the one before.
struct NumberRange {
  double from = 0;
  double to = 0;
  std::optional<double> step;
  std::optional<double> factor;
};

// The numbers as text, in ascending order. InvalidArgument: not exactly one of step and factor, one
// that does not lead from `from` to `to`, or more than 1000 values. Pure.
absl::StatusOr<std::vector<std::string>> RangeValues(const NumberRange& range);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_SWEEP_RANGE_H_
