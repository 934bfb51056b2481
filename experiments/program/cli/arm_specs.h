#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_CLI_ARM_SPECS_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_CLI_ARM_SPECS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "experiments/program/cli/spec_flags.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// The arms of `compare` when none are named.
std::vector<std::string> DefaultArms();

// The spec in `spec_file` (none where that is empty), edited by the flags. Not resolved.
absl::StatusOr<RunSpec> LoadBase(const std::string& spec_file, const SpecFlags& flags);

// The resolved specs of all arms of `base`, checked against each other, with their outputs
// prepared: nothing runs before all of them can. Without arms: that of `base` itself. `sets`: what
// --set was given, none of which the arms may drop. Errors are the user's to mend.
absl::StatusOr<std::vector<RunSpec>> BuildSpecs(const RunSpec& base,
                                                const std::vector<std::string>& arms,
                                                const std::vector<std::string>& sets);

// The arms of `base`, not resolved, that take what --set was given.
absl::StatusOr<std::vector<RunSpec>> MakeArms(const RunSpec& base,
                                              const std::vector<std::string>& arms,
                                              const std::vector<std::string>& sets);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_CLI_ARM_SPECS_H_
