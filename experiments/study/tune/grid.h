#ifndef RINGMASTER_EXPERIMENTS_STUDY_TUNE_GRID_H_
#define RINGMASTER_EXPERIMENTS_STUDY_TUNE_GRID_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace ringmaster {

// A field and the values at which every arm is tried.
struct GridField {
  std::string field;                // as --tune names it
  std::vector<std::string> values;  // at least two, as --set takes them
  bool is_ordered = false;          // numbers in ascending order: the grid has an edge
};

// A field with these values. InvalidArgument: fewer than two, or one twice. Pure.
absl::StatusOr<GridField> MakeGridField(std::string field, std::vector<std::string> values);

// What --tune was given:
//   learning_rate=0.02:0.5:x2     0.02, 0.04, ... up to 0.5, each twice the one before
//   learning_rate=0.1:0.5:+0.1    each 0.1 more
//   learning_rate=0.01,0.1        these
// InvalidArgument: none of these, a range as RangeValues refuses it (sweep/range.h), fewer than two
// values or one twice. The caller adds what the user wrote. Pure.
absl::StatusOr<GridField> ParseGridField(absl::string_view text);

// A value of every field, by index: points[p][f].
using GridPoint = std::vector<size_t>;

// All combinations, the last field changes fastest; one empty point for no fields. Pure.
std::vector<GridPoint> GridPoints(absl::Span<const GridField> fields);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_TUNE_GRID_H_
