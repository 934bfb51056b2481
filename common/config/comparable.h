#ifndef RINGMASTER_COMMON_CONFIG_COMPARABLE_H_
#define RINGMASTER_COMMON_CONFIG_COMPARABLE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// What the runs of a comparison have in common of a resolved spec: name, strategy, codec, output
// and the fields that spec.tuning names are erased. Pure, thread-safe.
RunSpec SharedPart(RunSpec spec);

// Whether each arm may have a value of its own for the field, found by tuning: it belongs to
// optimizer, codec or strategy. All else decides what is learned, or from how many samples. Pure,
// thread-safe.
bool IsTunable(absl::string_view field);

// Whether two resolved specs may stand in one table: their shared parts are equal; transport.name
// may differ where one of them launches threads.
// FailedPrecondition names the first field that differs, with both values. Symmetric but for the
// order in the text. Pure, thread-safe.
absl::Status CheckComparable(const RunSpec& a, const RunSpec& b);

// The first field in which two resolved specs differ, with both values: "training.seed is 7 there
// and 99 here". Empty: they are equal. Pure, thread-safe.
std::string DifferenceText(const RunSpec& there, const RunSpec& here);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CONFIG_COMPARABLE_H_
