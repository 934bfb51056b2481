#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_NETWORK_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_NETWORK_H_

#include <optional>

#include "common/network/network_shape.h"
#include "common/security/credentials.h"
#include "common/transport/fabric.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// The network that a resolved and valid spec asks for; absent: none. Nodes that the run does not
// have (a server, where the strategy has none) are left out.
std::optional<NetworkShape> NetworkOf(const RunSpec& spec);

// How the processes of such a run, whose credentials these are, are joined.
FabricOptions FabricOptionsOf(const RunSpec& spec, const JobCredentials& credentials);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_NETWORK_H_
