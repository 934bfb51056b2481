#include "common/machine/host_identity.h"

#include <sys/stat.h>

#include <fstream>

namespace ringmaster {
namespace {

uint64_t NamespaceAt(const char* path) {
  struct stat status {};
  return stat(path, &status) == 0 ? status.st_ino : 0;
}

}  // namespace

HostIdentity ReadHostIdentity() {
  HostIdentity identity;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> identity.boot_id;
  identity.network_namespace = NamespaceAt("/proc/self/ns/net");
  identity.pid_namespace = NamespaceAt("/proc/self/ns/pid");
  return identity;
}

bool ShareLoopback(const HostIdentity& a, const HostIdentity& b) {
  return !a.boot_id.empty() && a.boot_id == b.boot_id && a.network_namespace != 0 &&
         a.network_namespace == b.network_namespace;
}

bool ShareProcessIds(const HostIdentity& a, const HostIdentity& b) {
  return !a.boot_id.empty() && a.boot_id == b.boot_id && a.pid_namespace != 0 &&
         a.pid_namespace == b.pid_namespace;
}

}  // namespace ringmaster
