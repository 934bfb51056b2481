#include "experiments/program/run/faults/cut_connections.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <memory>
#include <vector>

#include "absl/strings/numbers.h"

namespace ringmaster {
namespace {

struct CloseFolder {
  void operator()(DIR* folder) const { closedir(folder); }
};

std::vector<int> OpenDescriptors() {
  std::vector<int> descriptors;
  const std::unique_ptr<DIR, CloseFolder> folder(opendir("/proc/self/fd"));
  if (folder == nullptr) return descriptors;
  while (const dirent* entry = readdir(folder.get())) {
    int descriptor = 0;
    if (absl::SimpleAtoi(entry->d_name, &descriptor)) descriptors.push_back(descriptor);
  }
  return descriptors;
}

// The port of the peer of an IP connection; 0: it is none.
int PeerPort(int descriptor) {
  sockaddr_storage peer{};
  socklen_t size = sizeof(peer);
  if (getpeername(descriptor, reinterpret_cast<sockaddr*>(&peer), &size) != 0) return 0;
  if (peer.ss_family == AF_INET) return ntohs(reinterpret_cast<sockaddr_in*>(&peer)->sin_port);
  if (peer.ss_family == AF_INET6) return ntohs(reinterpret_cast<sockaddr_in6*>(&peer)->sin6_port);
  return 0;
}

}  // namespace

absl::Status CutConnections(int kept_port) {
  bool any = false;
  for (const int descriptor : OpenDescriptors()) {
    const int port = PeerPort(descriptor);
    if (port == 0 || port == kept_port) continue;
    any |= shutdown(descriptor, SHUT_RDWR) == 0;
  }
  return any ? absl::OkStatus() : absl::NotFoundError("it had no connection to cut");
}

}  // namespace ringmaster
