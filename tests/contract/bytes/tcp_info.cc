#include "tests/contract/bytes/tcp_info.h"

#include <arpa/inet.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <string>
#include <system_error>

#include "absl/strings/numbers.h"

namespace ringmaster {
namespace {

constexpr uint8_t kEstablished = 1;  // TCP_ESTABLISHED of the kernel

int LocalPort(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return 0;
  if (address.ss_family == AF_INET)
    return ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port);
  if (address.ss_family == AF_INET6)
    return ntohs(reinterpret_cast<const sockaddr_in6&>(address).sin6_port);
  return 0;
}

}  // namespace

std::vector<SocketCount> CountSockets() {
  std::vector<SocketCount> sockets;
  std::set<std::string> seen;  // "socket:[123]": one socket may have several descriptors
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    int fd = -1;
    if (!absl::SimpleAtoi(entry.path().filename().string(), &fd)) continue;
    tcp_info info{};
    socklen_t size = sizeof(info);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 || info.tcpi_state != kEstablished)
      continue;
    std::error_code error;
    if (!seen.insert(std::filesystem::read_symlink(entry.path(), error).string()).second) continue;
    sockets.push_back({fd, LocalPort(fd),
                       static_cast<int64_t>(info.tcpi_bytes_sent - info.tcpi_bytes_retrans),
                       static_cast<int64_t>(info.tcpi_bytes_received)});
  }
  std::sort(sockets.begin(), sockets.end(),
            [](const SocketCount& a, const SocketCount& b) { return a.fd < b.fd; });
  return sockets;
}

}  // namespace ringmaster
