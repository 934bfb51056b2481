#include "common/transport/socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/host_port.h"
#include "common/base/status_macros.h"
#include "common/base/system_error.h"
#include "common/machine/processes.h"

namespace ringmaster {
namespace {

// Of a numeric address, with or without a port.
absl::StatusOr<SocketAddress> ParseAddress(const std::string& text) {
  const auto parsed = HostPort::ParseAddress(text);
  if (!parsed.ok()) return Annotate(parsed.status(), "address");
  if (!IsNumericAddress(parsed->host)) {
    return absl::InvalidArgumentError(
        absl::StrCat("address \"", text, "\": expected a numeric address, with or without ",
                     "a port, such as 127.0.0.1, 127.0.0.1:4000 or [::1]:4000"));
  }
  const auto found = Resolve(*parsed);
  if (!found.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("address \"", text,
                                                   "\" has an interface that is not here; this "
                                                   "machine has ",
                                                   absl::StrJoin(OwnAddresses(), ", ")));
  }
  return found->front();
}

// Why `address` cannot be listened at, and what to do. `when_taken`: where the port is.
std::string Explain(int error, const HostPort& address, absl::string_view when_taken) {
  switch (error) {
    case EADDRINUSE: {
      const std::string holder = WhoListensAt(address.port);
      return absl::StrCat("the port is busy: ", holder.empty() ? "another socket has it" : holder,
                          holder.empty() ? "; " : " listens there; ", when_taken);
    }
    case EADDRNOTAVAIL:
      return absl::StrCat(address.host, " is no address of this machine, which has ",
                          absl::StrJoin(OwnAddresses(), ", "),
                          "; use one of these, or start this rank on the machine that has it");
    case EAFNOSUPPORT:
      return "this machine has no such addresses (IPv6 is off); use an IPv4 address, such as "
             "127.0.0.1";
    case EACCES:
      return absl::StrCat("ports below 1024 need rights; ", when_taken);
    case EMFILE:
    case ENFILE:
      return ErrorText(error);
    case EINVAL:
      return "a link-local address needs its interface, as in fe80::1%eth0";
    default:
      return absl::StrCat(ErrorText(error), "; check the address and the limits of this machine");
  }
}

}  // namespace

absl::StatusOr<Listener> ListenAt(const std::string& text) {
  RM_ASSIGN_OR_RETURN(const SocketAddress address, ParseAddress(text));
  return ListenAt(address, "leave the port out to have a free one chosen");
}

absl::StatusOr<Listener> ListenAt(const SocketAddress& address, absl::string_view when_taken) {
  Listener listener;
  listener.fd = Fd(socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int yes = 1;
  const int no = 0;
  // Whatever the system's habit, :: takes IPv4 too.
  if (address.family() == AF_INET6)
    setsockopt(listener.fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no));
  if (!listener.fd.valid() ||
      setsockopt(listener.fd.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) != 0 ||
      bind(listener.fd.get(), address.get(), address.size()) != 0 ||
      listen(listener.fd.get(), SOMAXCONN) != 0) {
    const int error = errno;
    const HostPort where = address.ToHostPort();
    return absl::UnavailableError(absl::StrCat("cannot listen at ", where.ToString(), ": ",
                                               Explain(error, where, when_taken)));
  }
  RM_ASSIGN_OR_RETURN(const SocketAddress own, SocketAddress::OfThisEnd(listener.fd.get()));
  listener.endpoint = own.ToHostPort().ToString();
  return listener;
}

absl::StatusOr<Fd> StartConnecting(const std::string& endpoint) {
  RM_ASSIGN_OR_RETURN(const SocketAddress address, ParseAddress(endpoint));
  return StartConnecting(address);
}

absl::StatusOr<Fd> StartConnecting(const SocketAddress& address) {
  Fd fd(socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid() ||
      (connect(fd.get(), address.get(), address.size()) != 0 && errno != EINPROGRESS)) {
    const int error = errno;
    return absl::UnavailableError(absl::StrCat(
        "cannot connect to ", address.ToHostPort().ToString(), ": ", ErrorText(error)));
  }
  SendAtOnce(fd.get());
  return fd;
}

void SendAtOnce(int fd) {
  const int yes = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
}

void SendUnpacedWithinHost(int fd) {
  const auto own = SocketAddress::OfThisEnd(fd);
  const auto other = SocketAddress::OfOtherEnd(fd);
  if (!own.ok() || !other.ok() || !AreOfOneHost(*own, *other)) return;
  // Every kernel has it and lets everybody use it.
  constexpr char kReno[] = "reno";
  setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, kReno, sizeof(kReno) - 1);
}

}  // namespace ringmaster
