#ifndef RINGMASTER_COMMON_TRANSPORT_AUTO_FABRIC_H_
#define RINGMASTER_COMMON_TRANSPORT_AUTO_FABRIC_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/base/monotonic.h"
#include "common/transport/fabric.h"
#include "common/transport/membership.h"
#include "common/transport/wire.h"

namespace ringmaster {

// The fabric that chooses once its processes are connected, for each pair of them by their two
// hosts alone: shared memory where the two have proved to each other that they are on one host
// (shm/one_host.h), sockets elsewhere, whatever their endpoints look like. It becomes "shm" or
// "tcp" where all pairs of this process are of one kind, and else "shm+tcp" (mixed_fabric.h).
// Errors as CreateFabric.
absl::StatusOr<std::unique_ptr<Fabric>> CreateAutoFabric(const FabricOptions& options);

// What it chooses from: the wires of a finished handshake, by process, none at the membership's
// own.
struct AutoChoice {
  const FabricOptions& options;  // of "auto"
  std::string endpoint;          // where the wires came from
  std::vector<Wire> wires;
  const Membership& membership;
  MonotonicTime deadline;
};
using ChooseFabric = std::function<absl::StatusOr<std::unique_ptr<Fabric>>(AutoChoice choice)>;

// The same with another choice, which all processes make.
absl::StatusOr<std::unique_ptr<Fabric>> CreateAutoFabric(const FabricOptions& options,
                                                         ChooseFabric choose);

// The fabric of a process that shares memory with others as `shares_memory` says, by process, of
// any value at this one: the pure one where all its pairs are of one kind. Talks to nobody.
absl::StatusOr<std::unique_ptr<Fabric>> FabricForPairs(AutoChoice choice,
                                                       std::vector<bool> shares_memory);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_AUTO_FABRIC_H_
