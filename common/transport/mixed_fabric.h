#ifndef RINGMASTER_COMMON_TRANSPORT_MIXED_FABRIC_H_
#define RINGMASTER_COMMON_TRANSPORT_MIXED_FABRIC_H_

#include <memory>
#include <string>
#include <vector>

#include "common/transport/fabric.h"
#include "common/transport/wire.h"

namespace ringmaster {

// The fabric of a process with peers on its own host and on others, "shm+tcp": shared memory to
// those, sockets (in clear or by TLS, as the wires are) to these. Threads that wait do so as over
// "shm" alone, look at the sockets before they sleep, and sleep on the bell of this process; a
// helper thread sleeps on the sockets, moves what comes there and rings.
//
// `wires` are those of a finished handshake, by process, none at this one's. `shares_memory`, by
// process: with whom memory is shared, which both ends of a pair say alike; those have proved it
// (shm/one_host.h). `endpoint` is where the wires came from.
std::unique_ptr<Fabric> CreateMixedFabricOver(const FabricOptions& options, std::string endpoint,
                                              std::vector<Wire> wires,
                                              std::vector<bool> shares_memory);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_MIXED_FABRIC_H_
