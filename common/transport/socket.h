#ifndef RINGMASTER_COMMON_TRANSPORT_SOCKET_H_
#define RINGMASTER_COMMON_TRANSPORT_SOCKET_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/addresses.h"
#include "common/base/fd.h"

namespace ringmaster {

// A listening TCP socket and the address peers reach it at. The socket does not block and is closed
// on exec.
struct Listener {
  Fd fd;
  std::string endpoint;  // "127.0.0.1:41234", "[::1]:41234"
};

// Listens at a numeric `address`: "127.0.0.1", "127.0.0.1:4000", "::1" or "[::1]:4000"; without a
// port, or with port 0, the system chooses one. InvalidArgument: no numeric address. Unavailable:
// the port is taken, the address is not of this machine, or listening is not allowed; the text says
// which (who has the port, which addresses there are) and what to do.
absl::StatusOr<Listener> ListenAt(const std::string& address);

// The same at an address that has been read. `when_taken` is what to do where its port is.
absl::StatusOr<Listener> ListenAt(const SocketAddress& address, absl::string_view when_taken);

// Starts to connect to an endpoint as Listener gives it; the socket does not block, is closed on
// exec and sends small writes at once. Done when it becomes writable; SO_ERROR then has the
// outcome. Errors as ListenAt.
absl::StatusOr<Fd> StartConnecting(const std::string& endpoint);
absl::StatusOr<Fd> StartConnecting(const SocketAddress& address);

// Sends small writes at once (no Nagle), on a connected socket.
void SendAtOnce(int fd);

// On a connection that stays within this host: sends without pacing, which some systems' congestion
// control (BBR) does by default to spare a network that is not there. Any other connection is left
// as the system has it.
void SendUnpacedWithinHost(int fd);

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_TRANSPORT_SOCKET_H_
