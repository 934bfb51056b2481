#ifndef RINGMASTER_COMMON_TRANSPORT_SHM_MEETING_H_
#define RINGMASTER_COMMON_TRANSPORT_SHM_MEETING_H_

#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/base/monotonic.h"
#include "common/transport/membership.h"
#include "common/transport/shm/segment.h"
#include "common/transport/wire.h"

namespace ringmaster {

// What a process maps of a peer's control block.
struct PeerMemory {
  int32_t pid = 0;
  Segment header;
  Segment lane;  // to this process
};

// What a process shares.
struct Shared {
  const Segment* control = nullptr;
  uint64_t nonce = 0;  // also in the control block: proves that the right memory was found
};

// Exchanges the names of control blocks over the sockets of a finished handshake (by process, none
// at `self`, nor where no memory is shared), maps all peers' and returns when all have mapped this
// process's; by process, empty where there is no socket. Unavailable: a peer's memory is out of
// reach, or it has ended. DeadlineExceeded names the process that is silent.
absl::StatusOr<std::vector<PeerMemory>> ShareMemory(absl::Span<Wire> wires,
                                                    const Membership& membership, const Shared& own,
                                                    MonotonicTime deadline);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_SHM_MEETING_H_
