#ifndef RINGMASTER_COMMON_TRANSPORT_SHM_EXACT_IO_H_
#define RINGMASTER_COMMON_TRANSPORT_SHM_EXACT_IO_H_

#include <cstddef>

#include "absl/status/status.h"
#include "common/base/monotonic.h"
#include "common/transport/membership.h"
#include "common/transport/wire.h"

namespace ringmaster {

// What processes say to each other right after the handshake, on its wires.

// Writes `size` bytes, few enough for the buffer of a fresh connection. Unavailable: the connection
// is broken.
absl::Status WriteExactly(Wire& wire, const void* data, size_t size);

// Reads `size` bytes; waits for them until `deadline` (DeadlineExceeded) or until `membership` is
// aborted, with that error. Unavailable: the peer has closed the connection.
absl::Status ReadExactly(Wire& wire, void* data, size_t size, const Membership& membership,
                         MonotonicTime deadline);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_SHM_EXACT_IO_H_
