#ifndef RINGMASTER_EXPERIMENTS_PROGRAM_RUN_NETWORK_H_
#define RINGMASTER_EXPERIMENTS_PROGRAM_RUN_NETWORK_H_

#include <optional>

#include "common/network/network_shape.h"
#include "proto/run_spec.pb.h"

namespace ringmaster {

// The network that a resolved and valid spec asks for; absent: none. Nodes that the run does not
// have (a server, where the strategy has none) are left out.
std::optional<NetworkShape> NetworkOf(const RunSpec& spec);

}  // namespace ringmaster

#endif  // RINGMASTER_EXPERIMENTS_PROGRAM_RUN_NETWORK_H_
