#ifndef RINGMASTER_COMMON_TRANSPORT_SHM_SHM_FABRIC_H_
#define RINGMASTER_COMMON_TRANSPORT_SHM_SHM_FABRIC_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/transport/fabric.h"
#include "common/transport/wire.h"

namespace ringmaster {

// The fabric of processes on one host, through shared memory (layout.h). Threads that wait carry
// the bytes; besides there is one helper thread a process, which notices a peer's end and steps in
// where nobody waits. Processes meet over loopback sockets with the handshake of all fabrics, and
// prove to each other that they are on one host, before anything is mapped; a socket then stays
// open, for the helpers.
//
// Exchange memory of a process can be read by its peers at any time. Errors as CreateFabric.
absl::StatusOr<std::unique_ptr<Fabric>> CreateShmFabric(const FabricOptions& options);

// The same over the sockets of a finished handshake, by process, none at this one's, whose
// processes have proved that they are on one host (one_host.h). `endpoint` is where they came from.
std::unique_ptr<Fabric> CreateShmFabricOver(const FabricOptions& options, std::string endpoint,
                                            std::vector<Wire> wires);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_SHM_SHM_FABRIC_H_
