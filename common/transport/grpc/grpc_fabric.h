#ifndef RINGMASTER_COMMON_TRANSPORT_GRPC_GRPC_FABRIC_H_
#define RINGMASTER_COMMON_TRANSPORT_GRPC_GRPC_FABRIC_H_

#include <memory>

#include "absl/status/statusor.h"
#include "common/transport/fabric.h"

namespace ringmaster {

// The fabric over gRPC: one long stream of generic messages a pair of processes, each a frame whose
// payload refers to the sender's memory; nothing passes through protobuf. The listener, the
// handshake and with it the token are those of the tcp fabric, and gRPC is given connected sockets:
// a stranger never speaks to it, and a socket on which a peer hangs can be shut under it. Errors as
// CreateFabric.
absl::StatusOr<std::unique_ptr<Fabric>> CreateGrpcFabric(const FabricOptions& options);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_GRPC_GRPC_FABRIC_H_
