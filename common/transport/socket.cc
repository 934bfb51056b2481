#include "common/transport/socket.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/base/system_error.h"

namespace ringmaster {
namespace {

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

absl::StatusOr<Address> ParseAddress(const std::string& text) {
  std::string host = text;
  std::string port = "0";
  const size_t colon = text.rfind(':');
  if (!text.empty() && text[0] == '[') {
    const size_t end = text.find(']');
    if (end != std::string::npos) host = text.substr(1, end - 1);
    if (end != std::string::npos && end + 1 == colon) port = text.substr(colon + 1);
  } else if (std::count(text.begin(), text.end(), ':') == 1) {
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
  }
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (host.empty() || getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0) {
    return absl::InvalidArgumentError(absl::StrCat("address \"", text, "\": expected a numeric address, with or without ",
                                                   "a port, such as 127.0.0.1, 127.0.0.1:4000 or [::1]:4000"));
  }
  Address address;
  std::memcpy(&address.storage, found->ai_addr, found->ai_addrlen);
  address.size = found->ai_addrlen;
  freeaddrinfo(found);
  return address;
}

// Whether both ends have one address, or are loopback addresses.
bool StaysWithinHost(const sockaddr_storage& a, const sockaddr_storage& b) {
  if (a.ss_family != b.ss_family) return false;
  if (a.ss_family == AF_INET6) {
    return std::memcmp(&reinterpret_cast<const sockaddr_in6&>(a).sin6_addr,
                       &reinterpret_cast<const sockaddr_in6&>(b).sin6_addr, sizeof(in6_addr)) == 0;
  }
  const uint32_t own = ntohl(reinterpret_cast<const sockaddr_in&>(a).sin_addr.s_addr);
  const uint32_t other = ntohl(reinterpret_cast<const sockaddr_in&>(b).sin_addr.s_addr);
  return own == other || (own >> 24 == IN_LOOPBACKNET && other >> 24 == IN_LOOPBACKNET);
}

std::string EndpointOf(int fd) {
  Address address;
  address.size = sizeof(address.storage);
  char host[NI_MAXHOST];
  char port[NI_MAXSERV];
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address.storage), &address.size) != 0 ||
      getnameinfo(address.get(), address.size, host, sizeof(host), port, sizeof(port),
                  NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return "";
  }
  const bool is_v6 = address.storage.ss_family == AF_INET6;
  return absl::StrCat(is_v6 ? "[" : "", host, is_v6 ? "]:" : ":", port);
}

const char* Remedy(int error) {
  switch (error) {
    case EADDRINUSE: return "another process listens there; leave the port out to have a free one chosen";
    case EADDRNOTAVAIL: return "no address of this machine; use 127.0.0.1, or one that `ip address` shows";
    case EACCES: return "ports below 1024 need rights; leave the port out to have a free one chosen";
    default: return "check the address and the limits of this machine";
  }
}

}  // namespace

Fd::~Fd() {
  if (fd_ >= 0) close(fd_);
}

absl::StatusOr<Listener> ListenAt(const std::string& text) {
  RM_ASSIGN_OR_RETURN(const Address address, ParseAddress(text));
  Listener listener;
  listener.fd = Fd(socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int yes = 1;
  if (!listener.fd.valid() ||
      setsockopt(listener.fd.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) != 0 ||
      bind(listener.fd.get(), address.get(), address.size) != 0 || listen(listener.fd.get(), 128) != 0) {
    const int error = errno;
    return absl::UnavailableError(
        absl::StrCat("cannot listen at \"", text, "\": ", ErrorText(error), "; ", Remedy(error)));
  }
  listener.endpoint = EndpointOf(listener.fd.get());
  return listener;
}

absl::StatusOr<Fd> StartConnecting(const std::string& endpoint) {
  RM_ASSIGN_OR_RETURN(const Address address, ParseAddress(endpoint));
  Fd fd(socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid() || (connect(fd.get(), address.get(), address.size) != 0 && errno != EINPROGRESS)) {
    return absl::UnavailableError(absl::StrCat("cannot connect to ", endpoint, ": ", ErrorText(errno)));
  }
  SendAtOnce(fd.get());
  return fd;
}

void SendAtOnce(int fd) {
  const int yes = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
}

void SendUnpacedWithinHost(int fd) {
  Address own, other;
  own.size = other.size = sizeof(sockaddr_storage);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&own.storage), &own.size) != 0 ||
      getpeername(fd, reinterpret_cast<sockaddr*>(&other.storage), &other.size) != 0 ||
      !StaysWithinHost(own.storage, other.storage)) {
    return;
  }
  // Every kernel has it and lets everybody use it.
  constexpr char kReno[] = "reno";
  setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, kReno, sizeof(kReno) - 1);
}

}  // namespace ringmaster
