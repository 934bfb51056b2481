#ifndef RINGMASTER_COMMON_CONTROL_CONTROL_TLS_H_
#define RINGMASTER_COMMON_CONTROL_CONTROL_TLS_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "common/base/fd.h"
#include "common/base/monotonic.h"
#include "common/security/tls_identity.h"

namespace ringmaster {

// Shakes hands by TLS over a connected socket with whoever listens there, as gRPC will over
// another, and closes it. gRPC says of a handshake that fails no more than that it has failed; this
// says what is wrong with which certificate. `host`: the name or numeric address that was dialled.
// Blocks until both ends have accepted each other's certificate, at most until `deadline`. Errors
// as TlsStream::Handshake; DeadlineExceeded: the other end is silent.
absl::Status TryTls(std::shared_ptr<const TlsIdentity> identity, Fd socket, const std::string& host,
                    MonotonicTime deadline);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_CONTROL_CONTROL_TLS_H_
