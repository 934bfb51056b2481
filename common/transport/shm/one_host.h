#ifndef RINGMASTER_COMMON_TRANSPORT_SHM_ONE_HOST_H_
#define RINGMASTER_COMMON_TRANSPORT_SHM_ONE_HOST_H_

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/base/monotonic.h"
#include "common/transport/membership.h"
#include "common/transport/wire.h"

namespace ringmaster {

// Finds out with which of the other processes this one is on one host: one boot, one network
// namespace, and memory that each finds of the other (host_proof.h). `wires` are those of a
// finished handshake, by process, none at `self`; all processes call this next. Blocks at most
// until `deadline`. Returns by process: OK, as at `self`, or FailedPrecondition, which says what
// differs between whom. Both ends of a pair find the same. Errors: Unavailable, a peer has ended;
// DeadlineExceeded names the process that is silent; FailedPrecondition, a peer is of another
// build.
absl::StatusOr<std::vector<absl::Status>> ProvePairs(absl::Span<Wire> wires,
                                                     const Membership& membership,
                                                     MonotonicTime deadline);

// The same for all pairs of processes together, in place of ProvePairs. All processes return alike:
// OK where all are on one host, and FailedPrecondition, which says what differs between whom, where
// any pair is not. Errors as ProvePairs.
absl::Status ProveOneHost(absl::Span<Wire> wires, const Membership& membership,
                          MonotonicTime deadline);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_SHM_ONE_HOST_H_
