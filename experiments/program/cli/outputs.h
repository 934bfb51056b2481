#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_CLI_OUTPUTS_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_CLI_OUTPUTS_H_

#include <vector>

#include "absl/status/status.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// Puts each arm's name in the place of {arm} in its output paths. InvalidArgument, with the flag: a
// path that two arms would share.
absl::Status NameOutputs(std::vector<RunSpec>* specs);

// Before anything runs: NameOutputs, makes the folders of dumps, and makes sure that every output
// can be written. InvalidArgument or the system's reason, with the flag: a folder that is missing
// or takes no files. Warns of outputs that cost time in timed steps.
absl::Status PrepareOutputs(std::vector<RunSpec>* specs);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_CLI_OUTPUTS_H_
