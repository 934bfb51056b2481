#ifndef RINGMASTER_COMMON_TRANSPORT_SHM_MEETING_H_
#define RINGMASTER_COMMON_TRANSPORT_SHM_MEETING_H_

#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/base/monotonic.h"
#include "common/transport/membership.h"
#include "common/transport/shm/segment.h"
#include "common/transport/socket.h"

namespace ringmaster {

// The shared memory of a process, as its peers map it.
struct SharedMemory {
  Segment control;    // the control block
  Segment exchange;   // not writable
};

// What a process shares.
struct Shared {
  const Segment* control = nullptr;
  const Segment* exchange = nullptr;
  uint64_t nonce = 0;  // also in the control block: proves that the right memory was found
};

// Exchanges the names of shared segments over the sockets of a finished handshake (by process, none at `self`), maps
// everybody's and returns when everybody has mapped this process's; by process, empty at `self`. Unavailable: a peer's
// memory is out of reach, or it has ended. DeadlineExceeded names the process that is silent.
absl::StatusOr<std::vector<SharedMemory>> ShareMemory(absl::Span<const Fd> sockets, const Membership& membership,
                                                      const Shared& own, MonotonicTime deadline);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_SHM_MEETING_H_
