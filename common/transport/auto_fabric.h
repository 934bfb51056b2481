#ifndef RINGMASTER_COMMON_TRANSPORT_AUTO_FABRIC_H_
#define RINGMASTER_COMMON_TRANSPORT_AUTO_FABRIC_H_

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "common/transport/fabric.h"

namespace ringmaster {

// The fabric that becomes "shm" or "tcp" when it is connected. All processes see the same list of endpoints, so all
// choose alike: shared memory when every endpoint has one and the same address, or all are loopback addresses, which
// means one host. Errors as CreateFabric.
absl::StatusOr<std::unique_ptr<Fabric>> CreateAutoFabric(const FabricOptions& options);

// Whether the endpoints ("127.0.0.1:4000", "[::1]:4000") are all of one host.
bool AreOnOneHost(const std::vector<ProcessAddress>& processes);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_AUTO_FABRIC_H_
