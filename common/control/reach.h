#ifndef RINGMASTER_COMMON_CONTROL_REACH_H_
#define RINGMASTER_COMMON_CONTROL_REACH_H_

#include "absl/status/statusor.h"
#include "common/base/host_port.h"
#include "common/base/monotonic.h"
#include "common/transport/socket.h"

namespace ringmaster {

// Connects to the coordinator at `where`: looks its name up and tries all its addresses, again and
// again until `deadline`. Returns a connected socket that does not block and sends small writes at
// once. Blocks the caller. DeadlineExceeded: nobody was found; the text says what happened at the
// end (the name is unknown, the machine refuses, does not answer, cannot be reached) and what to do
// about it. ResourceExhausted: no descriptor is left here.
absl::StatusOr<Fd> ReachCoordinator(const HostPort& where, MonotonicTime deadline);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CONTROL_REACH_H_
