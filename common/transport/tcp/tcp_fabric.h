#ifndef RINGMASTER_COMMON_TRANSPORT_TCP_TCP_FABRIC_H_
#define RINGMASTER_COMMON_TRANSPORT_TCP_TCP_FABRIC_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/transport/fabric.h"
#include "common/transport/wire.h"

namespace ringmaster {

// The fabric over sockets, in clear or by TLS: one connection a pair of processes. The threads that
// wait read and write them, one at a time; a helper thread does when no thread waits. Listens until
// connected, no longer. Errors as CreateFabric.
absl::StatusOr<std::unique_ptr<Fabric>> CreateTcpFabric(const FabricOptions& options);

// The same over the wires of a finished handshake, by process, none at this one's. `endpoint` is
// where they came from.
std::unique_ptr<Fabric> CreateTcpFabricOver(const FabricOptions& options, std::string endpoint,
                                            std::vector<Wire> wires);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_TCP_TCP_FABRIC_H_
