#ifndef RINGMASTER_COMMON_TRANSPORT_SHM_ONE_HOST_H_
#define RINGMASTER_COMMON_TRANSPORT_SHM_ONE_HOST_H_

#include "absl/status/status.h"
#include "common/base/monotonic.h"
#include "absl/types/span.h"
#include "common/transport/membership.h"
#include "common/transport/wire.h"

namespace ringmaster {

// Finds out, together with all other processes, whether every pair of them can share memory
// (host_proof.h). `wires` are those of a finished handshake, by process, none at `self`; all
// processes call this next. Blocks at most until `deadline`. All processes return alike: OK where
// each has proved each, and FailedPrecondition, which says what differs between whom, where any
// pair could not. Unavailable: a peer has ended. DeadlineExceeded names the process that is silent.
absl::Status ProveOneHost(absl::Span<Wire> wires, const Membership& membership,
                          MonotonicTime deadline);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_SHM_ONE_HOST_H_
