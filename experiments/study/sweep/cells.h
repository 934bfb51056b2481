#ifndef RINGMASTER_EXPERIMENTS_STUDY_SWEEP_CELLS_H_
#define RINGMASTER_EXPERIMENTS_STUDY_SWEEP_CELLS_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/record.pb.h"
#include "proto/run_spec.pb.h"
#include "proto/sweep_spec.pb.h"

namespace ringmaster {

// What the axes say of one cell: field and value, in the order of the axes.
using Settings = std::vector<std::pair<std::string, std::string>>;

// "arm=ring training.workers=4"
std::string SettingsText(const Settings& settings);

// The same as a JSON object, as records keep it.
std::string SettingsJson(const Settings& settings);

// One combination of the axes' values.
struct SweepCell {
  Settings settings;
  RunSpec spec;  // not yet resolved; named after its arm, or "cell"
  std::vector<TuningTrial>
      tuning;           // what its tuned values were found from; empty: nothing is tuned
  std::string compute;  // of a step in simulated time; empty: the cell is really run
};

// A combination that is not run.
struct ExcludedCell {
  Settings settings;
  std::string reason;
};

struct SweepCells {
  std::vector<SweepCell> cells;  // the last axis changes fastest
  std::vector<ExcludedCell> excluded;
};

// `base` with these settings. An arm is made from the base with all other settings, so that
// settings of servers reach only arms that have some. InvalidArgument: an unknown field or arm, a
// value of a wrong type, or one that the arm decides otherwise. Pure.
absl::StatusOr<RunSpec> SpecWith(const RunSpec& base, const Settings& settings);

// Every combination of the axes, less the excluded ones; an axis with conditions is there for cells
// that meet them. InvalidArgument names the axis and what is wrong with it: what SpecWith refuses,
// no values, fields that are zipped and have unequal numbers of values, a field of two axes, a
// condition or an exclusion of what is no axis' value, an exclusion without a reason, or nothing
// left to run. Pure.
absl::StatusOr<SweepCells> ExpandCells(const SweepSpec& sweep);

// RangeValues (range.h) of what the axis says.
absl::StatusOr<std::vector<std::string>> RangeValues(const RangeSpec& range);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_STUDY_SWEEP_CELLS_H_
