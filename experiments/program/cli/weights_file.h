#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_CLI_WEIGHTS_FILE_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_CLI_WEIGHTS_FILE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/formats/weights.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// The model that a file of weights was saved from, as the file says. InvalidArgument where it does
// not (of another program, or of a Ringmaster that did not write it yet), with the flags of the
// model that its tensors fit.
absl::StatusOr<ModelSpec> ModelOfWeights(const std::string& path, const WeightsHeader& header);

// The flags of the model that has such tensors, for example "--model mlp --set
// model.mlp_hidden=128,64"; empty: none of ours has. Pure.
std::string FlagsOfModel(const WeightsHeader& header);

// Says, in lines on standard error for each file that the specs start from, what begins anew in
// training, and what is done to its names and types where anything is. Once for each command, by
// the process that leads.
void TellOfWeights(const std::vector<RunSpec>& specs);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_CLI_WEIGHTS_FILE_H_
