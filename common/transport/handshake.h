#ifndef RINGMASTER_COMMON_TRANSPORT_HANDSHAKE_H_
#define RINGMASTER_COMMON_TRANSPORT_HANDSHAKE_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/monotonic.h"
#include "common/transport/membership.h"
#include "common/transport/wire.h"

namespace ringmaster {

// Connects this process to all others: to lower ones it connects, from higher ones it accepts. Both
// ends prove the job's token (introduction.h), over TLS where the membership has an identity; a
// connection that says anything else, or says nothing for membership.introduction_limit, is closed
// and costs nothing but its descriptor, of which strangers get a few at a time. Returns one
// connected wire a process (none at `self`), with nothing read or written beyond the handshake, and
// the port at which each lower process takes streams. Blocks the caller, at most until `deadline`.
// Errors as Fabric::Connect.
struct Joined {
  std::vector<Wire> wires;
  std::vector<uint32_t> stream_ports;  // by process; 0: it has none, or did not listen
};
absl::StatusOr<Joined> JoinProcesses(int listener, const Membership& membership,
                                     MonotonicTime deadline);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_HANDSHAKE_H_
