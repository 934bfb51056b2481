#ifndef RINGMASTER_COMMON_BASE_ADDRESSES_H_
#define RINGMASTER_COMMON_BASE_ADDRESSES_H_

#include <sys/socket.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/host_port.h"

namespace ringmaster {

// A numeric address with a port, as the system takes and gives it.
class SocketAddress {
 public:
  // Of this end of a socket, and of the other. Unavailable: it has none.
  static absl::StatusOr<SocketAddress> OfThisEnd(int socket);
  static absl::StatusOr<SocketAddress> OfOtherEnd(int socket);

  // What getaddrinfo and getifaddrs give.
  SocketAddress(const sockaddr* address, socklen_t size);

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage_); }
  socklen_t size() const { return size_; }
  int family() const { return storage_.ss_family; }

  // Numeric: "10.0.0.1", "::1", "fe80::1%eth0". An IPv4 address that came by an IPv6 socket is
  // IPv4.
  HostPort ToHostPort() const;

 private:
  sockaddr_storage storage_{};
  socklen_t size_ = 0;
};

// Whether two addresses have the same host, whatever their ports, or are both IPv4 loopback
// addresses.
bool AreOfOneHost(const SocketAddress& a, const SocketAddress& b);

// The addresses of a host for TCP, in the system's order; an empty host is every address of this
// machine, of IPv6 where there is such, then of IPv4. Blocks while the system looks a name up,
// which may take seconds. NotFound: the name is unknown, or the resolver does not answer, now; the
// text says in the system's words.
absl::StatusOr<std::vector<SocketAddress>> Resolve(const HostPort& where);

// Whether this machine (this network namespace) has the address of `address`, whatever its port; a
// wildcard is had.
bool IsOfThisMachine(const SocketAddress& address);

// The addresses of this machine (of this network namespace) that are up: "10.0.0.1 (eth0)",
// loopback last.
std::vector<std::string> OwnAddresses();

}  // namespace ringmaster

#endif  // RINGMASTER_COMMON_BASE_ADDRESSES_H_
