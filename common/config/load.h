#ifndef RINGMASTER_COMMON_CONFIG_LOAD_H_
#define RINGMASTER_COMMON_CONFIG_LOAD_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// Parses a RunSpec textproto; fields left out stay unset. `source` names the text in errors,
// usually its path. InvalidArgument: "SOURCE:LINE:COLUMN: what is wrong", lines and columns from 1.
// Prints nothing. Thread-safe.
absl::StatusOr<RunSpec> ParseRunSpec(absl::string_view text, absl::string_view source);

// Reads and parses the file at `path`. NotFound or InvalidArgument for a file that cannot be read;
// else as ParseRunSpec.
absl::StatusOr<RunSpec> LoadRunSpec(const std::string& path);

// Whether all that a spec from a file says to write lies in `folder`, the output folder of the run:
// a file may be somebody else's. Relative paths start where the program was started. What the user
// says by flags goes where he says. InvalidArgument names the field. Looks at names alone.
absl::Status CheckOutputsWithin(const RunSpec& spec, const std::string& folder);

// The spec as a textproto, one field a line; ParseRunSpec gives the same spec back. Thread-safe.
std::string SerializeRunSpec(const RunSpec& spec);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CONFIG_LOAD_H_
