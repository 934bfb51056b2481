#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_RESOLVE_SPEC_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_RESOLVE_SPEC_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace ringmaster {

class DataSpec;
class RunSpec;

// The one way from what a user wrote to a spec that can be run: fills defaults, looks at the data
// set's headers and the initial weights' file, and validates. `default_data_dir` is where the
// set-up keeps data sets. Errors are the user's to mend.
absl::StatusOr<RunSpec> ResolveAndValidate(const RunSpec& spec,
                                           const std::string& default_data_dir);

// How to get the data that `given` (not resolved) asks for from the place where set-up keeps it: ",
// or run ./run once to fetch it". Empty where that does not help: outside a checkout, of a folder
// or file that the user named, of other data.
std::string FetchAdvice(const DataSpec& given);

// `status` with that advice behind it where a file is missing; a file that is damaged, or is no
// file, is not fetched again.
absl::Status WithFetchAdvice(const absl::Status& status, const DataSpec& given);

// Identity of a resolved spec, but for its outputs and the address to listen on: equal on all ranks
// of a run.
uint64_t SpecFingerprint(const RunSpec& resolved);

// The same as 16 hexadecimal digits.
std::string FingerprintText(const RunSpec& resolved);

// Whether `spec` is the one that the launcher has resolved and told its processes the
// FingerprintText of: then none of them resolves it again. InvalidArgument: it is another.
absl::Status CheckFingerprint(const RunSpec& spec, const std::string& text);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_RESOLVE_SPEC_H_
