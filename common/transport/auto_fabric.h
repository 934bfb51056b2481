#ifndef RINGMASTER_COMMON_TRANSPORT_AUTO_FABRIC_H_
#define RINGMASTER_COMMON_TRANSPORT_AUTO_FABRIC_H_

#include <memory>

#include "absl/status/statusor.h"
#include "common/transport/fabric.h"

namespace ringmaster {

// The fabric that becomes "shm" or "tcp" once its processes are connected: shared memory when all
// of them have proved to each other that they are on one host (shm/one_host.h), whatever their
// endpoints look like. All choose alike. Errors as CreateFabric.
absl::StatusOr<std::unique_ptr<Fabric>> CreateAutoFabric(const FabricOptions& options);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_AUTO_FABRIC_H_
