#include "common/transport/grpc/open_sockets.h"

#include <dirent.h>
#include <fcntl.h>

#include <utility>

#include "absl/strings/numbers.h"

namespace ringmaster {

std::vector<Fd> OpenSockets(
    absl::FunctionRef<bool(const SocketAddress& own, const SocketAddress& other)> wanted) {
  std::vector<Fd> found;
  DIR* const folder = opendir("/proc/self/fd");
  if (folder == nullptr) return found;
  while (const dirent* const entry = readdir(folder)) {
    int fd = -1;
    if (!absl::SimpleAtoi(entry->d_name, &fd)) continue;
    // What the number means may change at any moment; what this one means does not.
    Fd own_fd(fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (!own_fd.valid()) continue;
    const auto own = SocketAddress::OfThisEnd(own_fd.get());
    const auto other = SocketAddress::OfOtherEnd(own_fd.get());
    if (own.ok() && other.ok() && (own->family() == AF_INET || own->family() == AF_INET6) &&
        wanted(*own, *other))
      found.push_back(std::move(own_fd));
  }
  closedir(folder);
  return found;
}

}  // namespace ringmaster
