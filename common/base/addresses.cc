#include "common/base/addresses.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace ringmaster {
namespace {

socklen_t SizeOf(int family) {
  return family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
}

absl::StatusOr<SocketAddress> EndOf(int socket, int (*get)(int, sockaddr*, socklen_t*)) {
  sockaddr_storage storage{};
  socklen_t size = sizeof(storage);
  if (get(socket, reinterpret_cast<sockaddr*>(&storage), &size) != 0) {
    return absl::UnavailableError(
        absl::StrCat("a socket without an address: ", std::strerror(errno)));
  }
  return SocketAddress(reinterpret_cast<const sockaddr*>(&storage), size);
}

}  // namespace

SocketAddress::SocketAddress(const sockaddr* address, socklen_t size) : size_(size) {
  std::memcpy(&storage_, address, size);
}

absl::StatusOr<SocketAddress> SocketAddress::OfThisEnd(int socket) {
  return EndOf(socket, getsockname);
}
absl::StatusOr<SocketAddress> SocketAddress::OfOtherEnd(int socket) {
  return EndOf(socket, getpeername);
}

HostPort SocketAddress::ToHostPort() const {
  char host[NI_MAXHOST];
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(storage_);
  if (family() == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
    inet_ntop(AF_INET, v6.sin6_addr.s6_addr + 12, host, sizeof(host));
    return {host, ntohs(v6.sin6_port)};
  }
  if (getnameinfo(get(), size_, host, sizeof(host), nullptr, 0, NI_NUMERICHOST) != 0) return {};
  const auto port =
      family() == AF_INET6 ? v6.sin6_port : reinterpret_cast<const sockaddr_in&>(storage_).sin_port;
  return {host, ntohs(port)};
}

bool AreOfOneHost(const SocketAddress& a, const SocketAddress& b) {
  if (a.family() != b.family()) return false;
  if (a.family() == AF_INET6) {
    return std::memcmp(&reinterpret_cast<const sockaddr_in6*>(a.get())->sin6_addr,
                       &reinterpret_cast<const sockaddr_in6*>(b.get())->sin6_addr,
                       sizeof(in6_addr)) == 0;
  }
  const uint32_t one = ntohl(reinterpret_cast<const sockaddr_in*>(a.get())->sin_addr.s_addr);
  const uint32_t other = ntohl(reinterpret_cast<const sockaddr_in*>(b.get())->sin_addr.s_addr);
  return one == other || (one >> 24 == IN_LOOPBACKNET && other >> 24 == IN_LOOPBACKNET);
}

absl::StatusOr<std::vector<SocketAddress>> Resolve(const HostPort& where) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | (where.host.empty() ? AI_PASSIVE : 0);
  addrinfo* found = nullptr;
  const int error = getaddrinfo(where.host.empty() ? nullptr : where.host.c_str(),
                                absl::StrCat(where.port).c_str(), &hints, &found);
  if (error != 0) {
    return absl::NotFoundError(
        absl::StrCat("the name \"", where.host, "\" does not resolve on this machine (",
                     error == EAI_SYSTEM ? std::strerror(errno) : gai_strerror(error), ")"));
  }
  std::vector<SocketAddress> addresses;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    if (one->ai_family != AF_INET && one->ai_family != AF_INET6) continue;
    addresses.emplace_back(one->ai_addr, one->ai_addrlen);
  }
  freeaddrinfo(found);
  // One socket on :: takes IPv4 as well, where the system has IPv6.
  if (where.host.empty()) {
    std::stable_sort(addresses.begin(), addresses.end(),
                     [](const auto& a, const auto& b) { return a.family() > b.family(); });
  }
  return addresses;
}

bool IsOfThisMachine(const SocketAddress& address) {
  const int fd = socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  sockaddr_storage any_port{};
  std::memcpy(&any_port, address.get(), address.size());
  if (address.family() == AF_INET6) {
    reinterpret_cast<sockaddr_in6&>(any_port).sin6_port = 0;
  } else {
    reinterpret_cast<sockaddr_in&>(any_port).sin_port = 0;
  }
  const bool is_own = bind(fd, reinterpret_cast<const sockaddr*>(&any_port), address.size()) == 0;
  close(fd);
  return is_own;
}

std::vector<std::string> OwnAddresses() {
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) != 0) return {};
  std::vector<std::string> own, loopback;
  for (const ifaddrs* one = all; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr || (one->ifa_flags & IFF_UP) == 0) continue;
    const int family = one->ifa_addr->sa_family;
    if (family != AF_INET && family != AF_INET6) continue;
    const std::string host = SocketAddress(one->ifa_addr, SizeOf(family)).ToHostPort().host;
    (IsLoopback(host) ? loopback : own).push_back(absl::StrCat(host, " (", one->ifa_name, ")"));
  }
  freeifaddrs(all);
  own.insert(own.end(), loopback.begin(), loopback.end());
  return own;
}

}  // namespace ringmaster
