#include "common/engine/interfaces.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>
#include <memory>
#include <optional>

namespace ringmaster {
namespace {

// The bytes of an address: 4 or 16 of them.
std::optional<std::string> BytesOf(const std::string& address) {
  char bytes[sizeof(in6_addr)];
  if (inet_pton(AF_INET, address.c_str(), bytes) == 1) return std::string(bytes, sizeof(in_addr));
  if (inet_pton(AF_INET6, address.c_str(), bytes) == 1) return std::string(bytes, sizeof(in6_addr));
  return std::nullopt;
}

std::string BytesOf(const sockaddr& address) {
  if (address.sa_family == AF_INET) {
    sockaddr_in v4;
    std::memcpy(&v4, &address, sizeof(v4));
    return {reinterpret_cast<const char*>(&v4.sin_addr), sizeof(v4.sin_addr)};
  }
  if (address.sa_family != AF_INET6) return "";
  sockaddr_in6 v6;
  std::memcpy(&v6, &address, sizeof(v6));
  return {reinterpret_cast<const char*>(&v6.sin6_addr), sizeof(v6.sin6_addr)};
}

}  // namespace

std::string InterfaceOf(const std::string& address) {
  const std::optional<std::string> bytes = BytesOf(address);
  ifaddrs* first = nullptr;
  if (!bytes.has_value() || getifaddrs(&first) != 0) return "";
  const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> all(first, freeifaddrs);
  for (const ifaddrs* entry = first; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr != nullptr && BytesOf(*entry->ifa_addr) == *bytes) return entry->ifa_name;
  }
  return "";
}

}  // namespace ringmaster
