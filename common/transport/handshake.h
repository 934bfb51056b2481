#ifndef RINGMASTER_COMMON_TRANSPORT_HANDSHAKE_H_
#define RINGMASTER_COMMON_TRANSPORT_HANDSHAKE_H_

#include <vector>

#include "absl/status/statusor.h"
#include "common/base/monotonic.h"
#include "common/transport/membership.h"
#include "common/transport/socket.h"

namespace ringmaster {

// Connects this process to all others: to lower ones it connects, from higher ones it accepts. The
// connecting end says hello (wire version, token digest, its index, the terms), the other answers
// with a verdict; a connection that says anything else is closed and costs nothing but its
// descriptor, of which strangers get a few at a time. Returns one connected, non-blocking socket a
// process (none at `self`), with nothing read or written beyond the handshake. Blocks the caller,
// at most until `deadline`. Errors as Fabric::Connect.
absl::StatusOr<std::vector<Fd>> JoinProcesses(int listener, const Membership& membership,
                                              MonotonicTime deadline);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_HANDSHAKE_H_
