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

// The spec in `spec_file` (none where that is empty), edited by the flags. Not resolved, but a
// program that it names has been asked what it trains (CompleteProgram), and the weights that it
// starts from are in a file below `out`.
absl::StatusOr<RunSpec> LoadBase(const std::string& spec_file, const std::string& out,
                                 const SpecFlags& flags);

// The resolved specs of all arms of `base`, checked against each other; nothing is written. Without
// arms: that of `base` itself. `sets`: what --set was given, none of which the arms may drop.
// Errors are the user's to mend.
absl::StatusOr<std::vector<RunSpec>> BuildSpecs(const RunSpec& base,
                                                const std::vector<std::string>& arms,
                                                const std::vector<std::string>& sets);

// The same of arms that are there already: resolves them, and checks them against each other.
absl::StatusOr<std::vector<RunSpec>> ResolveAll(std::vector<RunSpec> arms);

// The arms of `base`, not resolved, that take what --set was given. Where one of them works on
// whole tensors, buckets of all arms hold whole tensors.
absl::StatusOr<std::vector<RunSpec>> MakeArms(const RunSpec& base,
                                              const std::vector<std::string>& arms,
                                              const std::vector<std::string>& sets);

// For --plan: the resolved specs, as textprotos that `ringmaster run` takes, on standard output, or
// what is wrong with them in the log. Returns the exit code.
int ShowSpecs(const absl::StatusOr<std::vector<RunSpec>>& specs);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_CLI_ARM_SPECS_H_
